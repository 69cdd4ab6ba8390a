// What the command line says of commands whose work it loads only when one is called.

/** Exit codes of "not known". */
export const CHECK_NOT_KNOWN = 2;
export const REPLAY_NOT_KNOWN = 2;

export const CHECK_HELP = `
Nothing is changed without --repair; to ask the agents for their journals, a scheduler has to run. Exit code:
  0  nothing was found, or all of it is repaired, or begun where an agent does the rest
  1  disagreements are left
  2  could not look; or some agents did not tell their journals in time, and nothing else is left`;

export const REPLAY_HELP = `
Nothing is changed. Times are ISO 8601 with a zone: 2026-01-31T12:00:00Z. Exit code:
  0  all decisions are equal, byte for byte
  1  one differs
  2  not known: there is a gap in the journal, nothing of that time in it, or an error`;
