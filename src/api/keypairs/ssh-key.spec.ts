import { createPrivateKey, createPublicKey } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { certificateFingerprint, generateSshKey, sshFingerprint } from './ssh-key.js';

/** Made by `ssh-keygen -t ed25519`; the fingerprint by `ssh-keygen -l -E md5`. */
const ED25519 = {
  key: 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIMxQXjspq2eBn+BM6540zM8hb2f2q0BTlYhZ90BXgiKv you@example',
  fingerprint: '60:f6:4e:e1:1a:4d:2a:53:49:15:66:16:25:08:97:9d',
};
/** Made by `openssl req -x509`; the fingerprint by `openssl x509 -fingerprint -sha1`. */
const CERTIFICATE = {
  pem: `-----BEGIN CERTIFICATE-----
MIIBeDCCAR2gAwIBAgIUNI55S/D5AGrkJ5N8YSS2HtmsyyUwCgYIKoZIzj0EAwIw
EDEOMAwGA1UEAwwFYmVydGgwIBcNMjYxMTIyMDExNDA2WhgPMjEyNjEwMjkwMTE0
MDZaMBAxDjAMBgNVBAMMBWJlcnRoMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE
s4MRRz7HMj9uy+V5b68LxtAEbLVt7HbIjDqAP3EGDTkjJ08BFFrpsRVyF3U0JeVT
Nf2vLhWrkkSfgTyKVK1rCKNTMFEwHQYDVR0OBBYEFEcfB+3RibOz9H8XgokC7Gy3
35CHMB8GA1UdIwQYMBaAFEcfB+3RibOz9H8XgokC7Gy335CHMA8GA1UdEwEB/wQF
MAMBAf8wCgYIKoZIzj0EAwIDSQAwRgIhANElE0HX3W/ykYNVfIBXj4rOZuQLTBGK
XfYLASjuYDeQAiEAybXKgqqk1PE9lXIX9aFFPcHeTgFl/BmEA0g9N/iMfpk=
-----END CERTIFICATE-----`,
  fingerprint: 'db:80:c1:6b:99:81:47:d1:63:7b:5f:72:c9:b6:b5:9e:11:98:cf:88',
};

const wire = (...fields: (string | Buffer)[]): string =>
  Buffer.concat(
    fields.flatMap((field) => {
      const length = Buffer.alloc(4);
      length.writeUInt32BE(Buffer.byteLength(field));
      return [length, Buffer.from(field)];
    }),
  ).toString('base64');

describe('keys of OpenSSH', () => {
  it('have the fingerprint that ssh-keygen tells', () => {
    expect(sshFingerprint(ED25519.key)).toBe(ED25519.fingerprint);
    expect(sshFingerprint(`${ED25519.key}\n`)).toBe(ED25519.fingerprint);
  });

  it.each([
    ['nothing', ''],
    ['a kind alone', 'ssh-rsa'],
    ['what is not base64', 'ssh-rsa JUNK you@example'],
    ['zeros', `ssh-rsa ${'A'.repeat(2048)} you@example`],
    ['another kind than it says', `ssh-rsa ${wire('ssh-ed25519', 'x'.repeat(32))}`],
    ['a field too few', `ssh-rsa ${wire('ssh-rsa', 'e')}`],
    ['a field too many', `ssh-ed25519 ${wire('ssh-ed25519', 'x', 'y')}`],
    ['a length beyond the end', `ssh-rsa ${wire('ssh-rsa', 'e').slice(0, 16)}`],
    ['a kind that nobody has', `toString ${wire('toString')}`],
  ])('are not %s', (_what, key) => {
    expect(() => sshFingerprint(key)).toThrow(expect.objectContaining({ code: 'keypair.invalid' }));
  });

  it('are made, and both halves belong together', async () => {
    const { privateKey, publicKey } = await generateSshKey();
    expect(privateKey).toMatch(/^-----BEGIN RSA PRIVATE KEY-----\n/);
    const { n = '', e = '' } = createPublicKey(createPrivateKey(privateKey)).export({ format: 'jwk' });
    const [kind, text = ''] = publicKey.split(' ');
    const number = (base64: string): Buffer => Buffer.from(base64, 'base64url');
    expect([kind, text]).toEqual(['ssh-rsa', wire('ssh-rsa', number(e), Buffer.concat([Buffer.alloc(1), number(n)]))]);
    expect(sshFingerprint(publicKey)).toMatch(/^(?:[0-9a-f]{2}:){15}[0-9a-f]{2}$/);
  });
});

describe('certificates', () => {
  it('have the fingerprint that openssl tells', () => {
    expect(certificateFingerprint(CERTIFICATE.pem)).toBe(CERTIFICATE.fingerprint);
  });

  it.each(['', 'ssh-rsa AAAA', '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----'])('are not %j', (pem) => {
    expect(() => certificateFingerprint(pem)).toThrow(expect.objectContaining({ code: 'keypair.invalid' }));
  });
});
