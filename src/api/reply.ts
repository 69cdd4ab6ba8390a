/** What controllers need of the HTTP answer. */
export interface Reply {
  status(code: number): unknown;
  header(name: string, value: string): unknown;
}
