import { createHash, generateKeyPair, X509Certificate } from 'node:crypto';
import { promisify } from 'node:util';
import { BerthError } from '../../errors.js';

const RSA_BITS = 2048;
const COMMENT = 'Generated-by-Berth';
/** Kinds of keys that OpenSSH has, and how many fields follow the kind in their binary form. */
const FIELDS: Readonly<Record<string, number>> = {
  'ssh-rsa': 2,
  'ssh-dss': 4,
  'ssh-ed25519': 1,
  'ecdsa-sha2-nistp256': 2,
  'ecdsa-sha2-nistp384': 2,
  'ecdsa-sha2-nistp521': 2,
  'sk-ssh-ed25519@openssh.com': 2,
  'sk-ecdsa-sha2-nistp256@openssh.com': 3,
};

/**
 * The fingerprint of a public key in OpenSSH's form (`ssh-rsa AAAA… comment`): MD5, as pairs with colons.
 *
 * @throws BerthError `keypair.invalid`
 */
export function sshFingerprint(publicKey: string): string {
  const [kind = '', text = ''] = publicKey.trim().split(/\s+/);
  const data = Buffer.from(text, 'base64');
  const fields = Object.hasOwn(FIELDS, kind) && /^[A-Za-z0-9+/]+={0,2}$/.test(text) ? fieldsOf(data) : null;
  if (fields === null || fields.length !== (FIELDS[kind] ?? 0) + 1 || fields[0]?.toString('latin1') !== kind) {
    throw new BerthError(
      'keypair.invalid',
      'public_key: is no public key of OpenSSH, like "ssh-ed25519 AAAA… you@example"',
    );
  }
  return pairs(createHash('md5').update(data).digest('hex'));
}

/** The fields of the binary form (RFC 4251: a length of four bytes, then as many bytes); null: it is not of that form. */
function fieldsOf(data: Buffer): Buffer[] | null {
  const fields: Buffer[] = [];
  let at = 0;
  while (at + 4 <= data.length) {
    const end = at + 4 + data.readUInt32BE(at);
    if (end > data.length || end === at + 4) return null;
    fields.push(data.subarray(at + 4, end));
    at = end;
  }
  return at === data.length ? fields : null;
}

/**
 * The fingerprint of a certificate in PEM: SHA-1, as pairs with colons.
 *
 * @throws BerthError `keypair.invalid`
 */
export function certificateFingerprint(pem: string): string {
  try {
    return new X509Certificate(pem).fingerprint.toLowerCase();
  } catch (cause) {
    throw new BerthError('keypair.invalid', 'public_key: is no X.509 certificate in PEM', { cause });
  }
}

/** A new RSA key: the private half in PEM, which nobody keeps, and the public half in OpenSSH's form. */
export async function generateSshKey(): Promise<{ readonly privateKey: string; readonly publicKey: string }> {
  const { privateKey, publicKey } = await promisify(generateKeyPair)('rsa', { modulusLength: RSA_BITS });
  const { n = '', e = '' } = publicKey.export({ format: 'jwk' });
  const kind = 'ssh-rsa';
  const data = Buffer.concat([
    field(Buffer.from(kind)),
    ...[e, n].map((one) => field(positive(Buffer.from(one, 'base64url')))),
  ]);
  return {
    privateKey: privateKey.export({ type: 'pkcs1', format: 'pem' }) as string,
    publicKey: `${kind} ${data.toString('base64')} ${COMMENT}`,
  };
}

function field(data: Buffer): Buffer {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(data.length);
  return Buffer.concat([length, data]);
}

/** A number whose first bit is set would be negative. */
function positive(number: Buffer): Buffer {
  return (number[0] ?? 0) >= 0x80 ? Buffer.concat([Buffer.alloc(1), number]) : number;
}

function pairs(hex: string): string {
  return (hex.match(/../g) ?? []).join(':');
}
