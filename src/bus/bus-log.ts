/** Where a bus tells what happens to connections and messages. Never gets a password or a message's body. */
export type BusLog = (
  level: 'debug' | 'info' | 'warn' | 'error',
  message: string,
  fields: Readonly<Record<string, unknown>>,
) => void;
