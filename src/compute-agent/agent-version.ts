/** Travels in every report; a test holds it equal to the package's version. */
export const AGENT_VERSION = '0.1.0';
