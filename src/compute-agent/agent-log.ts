/** Where an agent tells what it does: a constant message, particulars in fields. */
export type AgentLog = (
  level: 'debug' | 'info' | 'warn' | 'error',
  message: string,
  fields: Readonly<Record<string, unknown>>,
) => void;
