import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { GuestSettings } from '../../settings/settings.js';
import { imageOf } from './guest-image.js';

describe('the image of a guest', () => {
  let root: string;
  let settings: GuestSettings;

  beforeAll(() => {
    root = mkdtempSync(join(tmpdir(), 'berth-images-'));
    const imageDir = join(root, 'images');
    mkdirSync(join(imageDir, 'folder'), { recursive: true });
    for (const name of ['debian.qcow2', 'tiny.img', '-o']) writeFileSync(join(imageDir, name), '');
    writeFileSync(join(root, 'secret'), '');
    symlinkSync(join(root, 'secret'), join(imageDir, 'link'));
    settings = { imageDir, image: null } as GuestSettings;
  });

  afterAll(() => rmSync(root, { recursive: true }));

  const of = (image: string | undefined, given: Partial<GuestSettings> = {}) =>
    imageOf(
      { server: { name: 'one', project_id: 'p', vcpus: 1, memory_mb: 1, ...(image === undefined ? {} : { image }) } },
      { ...settings, ...given },
    );

  it('is a file in the directory of images, of a format that its name tells', () => {
    expect(of('debian.qcow2')).toEqual({ path: join(root, 'images/debian.qcow2'), format: 'qcow2' });
    expect(of('tiny.img')).toEqual({ path: join(root, 'images/tiny.img'), format: 'raw' });
  });

  it('is the one of the settings for a server that names none, or none', () => {
    expect(of(undefined)).toBeNull();
    expect(of(undefined, { image: join(root, 'secret') })).toEqual({ path: join(root, 'secret'), format: 'raw' });
  });

  it.each([
    ...[
      '../secret',
      '/etc/shadow',
      '..',
      '.',
      '',
      'folder/../../secret',
      'a\0b',
      'a,file=/etc/shadow',
      '-o',
      '.hidden',
    ],
    ...['json:{}', 'nbd:localhost:1', 'a\nb', 'x'.repeat(256)],
  ])('is not %j', (name) => {
    expect(() => of(name)).toThrow(/is not the name of an image/);
  });

  it.each(['link', 'folder', 'missing.img'])('is not %s, which is no plain file', (name) => {
    expect(() => of(name)).toThrow(/cannot be used/);
  });

  it('cannot be named where there is no directory of images', () => {
    expect(() => of('tiny.img', { imageDir: null })).toThrow('agent.guests.image_dir is not set');
    expect(() => of('tiny.img', { imageDir: join(root, 'none') })).toThrow('agent.guests.image_dir cannot be used');
  });
});
