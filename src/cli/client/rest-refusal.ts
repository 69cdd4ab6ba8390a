/** The REST face refused; the message has what it has against the request, a line for each field. */
export class RestRefusal extends Error {
  constructor(
    readonly status: number,
    /** One of Berth's; null when somebody else answered. */
    readonly code: string | null,
    message: string,
  ) {
    super(message);
  }
}
