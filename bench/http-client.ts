import { Agent, request } from 'node:http';

/** JSON over kept connections. */
export class HttpClient {
  private readonly agent: Agent;

  constructor(
    private readonly url: string,
    connections: number,
  ) {
    this.agent = new Agent({ keepAlive: true, maxSockets: connections });
  }

  /** @throws Error on any status but 2xx */
  send<Answer>(method: 'POST' | 'DELETE' | 'GET', path: string, body: object | null): Promise<Answer> {
    const text = body === null ? null : JSON.stringify(body);
    const headers =
      text === null ? {} : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) };
    return new Promise((resolve, reject) => {
      const sent = request(`${this.url}${path}`, { method, agent: this.agent, headers }, (reply) => {
        const parts: Buffer[] = [];
        reply.on('data', (part: Buffer) => parts.push(part));
        reply.on('error', reject);
        reply.on('end', () => {
          const answer = Buffer.concat(parts).toString();
          const status = reply.statusCode ?? 0;
          if (status < 200 || status > 299) reject(new Error(`${method} ${path}: ${status} ${answer.slice(0, 300)}`));
          else resolve((answer === '' ? null : JSON.parse(answer)) as Answer);
        });
      });
      sent.on('error', reject);
      sent.end(text ?? undefined);
    });
  }

  close(): void {
    this.agent.destroy();
  }
}
