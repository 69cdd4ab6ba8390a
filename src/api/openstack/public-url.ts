interface Asked {
  readonly headers: { readonly host?: string | undefined };
  /** By which it came, as far as trusted proxies say: `http` or `https`. */
  readonly protocol?: string;
}

/** Where clients find this process; the class is the token it is injected by. */
export class PublicUrl {
  /** @param configured `https://berth.example`; null: as each client calls it */
  constructor(private readonly configured: string | null) {}

  /** The beginning of all links, without a slash at the end. A Host header is believed, as links go to who sent it only. */
  of({ headers, protocol = 'http' }: Asked): string {
    if (this.configured !== null) return this.configured.replace(/\/+$/, '');
    const { host = '' } = headers;
    return /^[\w.:[\]-]{1,255}$/.test(host) ? `${protocol}://${host}` : '';
  }
}
