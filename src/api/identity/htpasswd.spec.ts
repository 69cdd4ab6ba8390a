import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import bcrypt from 'bcryptjs';
import { afterAll, describe, expect, it } from 'vitest';
import { HtpasswdFile, parseHtpasswd } from './htpasswd.js';

const FOLDER = mkdtempSync(join(tmpdir(), 'berth-htpasswd-'));
afterAll(() => rmSync(FOLDER, { recursive: true }));

/** In the form of `htpasswd -bnB alice opensesame`, which writes `2y` where others write `2b`. */
const APACHE = 'alice:$2y$05$KVyN5ZnDuirW3yR/pWtJgeodMc4MzF6kuutKaVaMaszvB95fiYXTu';

function problemsOf(text: string): string {
  try {
    parseHtpasswd(text, 'users');
    return '';
  } catch (error) {
    return (error as Error).message;
  }
}

describe('a file of users', () => {
  it('has a user and a hash of bcrypt on each line; comments and blank lines say nothing', () => {
    const users = parseHtpasswd(`# people\n\n${APACHE}\n`, 'users');
    expect([...users.keys()]).toEqual(['alice']);
    expect(bcrypt.compareSync('opensesame', users.get('alice') ?? '')).toBe(true);
  });

  it.each([
    [
      'alice:$apr1$Zp2xWfyd$sFm5Z5jhFkSFVIQpa/6WE.',
      'users:1: the hash of alice is not of bcrypt; write it with htpasswd -B',
    ],
    ['alice:opensesame', 'users:1: the hash of alice is not of bcrypt; write it with htpasswd -B'],
    [APACHE.replace('$05$', '$15$'), 'users:1: the hash of alice has cost 15; at most 14'],
    [`${APACHE}\n${APACHE}`, 'users:2: names alice a second time'],
    [`${APACHE}:admin`, 'users:1: is not user:hash'],
    [APACHE.replace('alice', ''), 'users:1: has no name of a user before the colon'],
    ['', 'users: names no user; add one with htpasswd -B'],
  ])('%j is refused, and no hash is repeated', (text, problem) => {
    expect(problemsOf(text)).toBe(problem);
  });

  it('is read again when it has changed; one that cannot be taken is told, and the former users stay', async () => {
    const path = join(FOLDER, 'users');
    writeFileSync(path, `alice:${await bcrypt.hash('opensesame', 4)}\n`);
    const told: string[] = [];
    const file = await new HtpasswdFile(path, (problem) => told.push(problem)).open();
    expect(await file.accepts('alice', 'opensesame')).toBe(true);
    expect(await file.accepts('alice', 'Opensesame')).toBe(false);
    expect(await file.accepts('bob', 'opensesame')).toBe(false);

    writeFileSync(path, `bob:${await bcrypt.hash('another word', 4)}\n`);
    expect(await file.accepts('alice', 'opensesame')).toBe(false);
    expect(await file.accepts('bob', 'another word')).toBe(true);

    writeFileSync(path, 'bob: no hash at all\n');
    expect(await file.accepts('bob', 'another word')).toBe(true);
    expect(told.join()).toContain('the hash of bob is not of bcrypt');
  });

  it('does not take what bcrypt would cut off for a part of the password', async () => {
    const path = join(FOLDER, 'long');
    const long = 'x'.repeat(72);
    writeFileSync(path, `alice:${await bcrypt.hash(long, 4)}\n`);
    const file = await new HtpasswdFile(path, () => undefined).open();
    expect(await file.accepts('alice', long)).toBe(true);
    expect(await file.accepts('alice', `${long}y`)).toBe(false);
  });
});
