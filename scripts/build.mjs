// Compiles src, migrations, bench and conformance into dist/.
//
//   node scripts/build.mjs [--if-needed]
//
// With --if-needed: only when a source is newer than the last build that went well.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const STAMP = path.join(ROOT, 'dist', '.built');
const SOURCES = [
  'src',
  'migrations',
  'bench',
  'conformance',
  'package.json',
  'package-lock.json',
  'tsconfig.json',
  'tsconfig.build.json',
];

const startedAt = Date.now();
const files = SOURCES.flatMap((source) => filesIn(path.join(ROOT, source)));
if (process.argv.includes('--if-needed') && isBuilt(files)) {
  console.log('build: dist/ is up to date');
} else {
  build(files);
  console.log(`build: dist/ in ${((Date.now() - startedAt) / 1000).toFixed(1)} s`);
}

/** The stamp holds the list of sources: one that was deleted leaves no other trace. */
function isBuilt(sources) {
  if (!existsSync(STAMP) || readFileSync(STAMP, 'utf8') !== listOf(sources)) return false;
  const builtAt = statSync(STAMP).mtimeMs;
  return sources.every((file) => statSync(file).mtimeMs <= builtAt);
}

function build(sources) {
  const lasting = listOf(sources);
  // The moment before compiling counts: what changes meanwhile is built next time.
  const began = new Date();
  if (!existsSync(STAMP) || readFileSync(STAMP, 'utf8') !== lasting) {
    rmSync(path.join(ROOT, 'dist'), { recursive: true, force: true });
  }
  rmSync(STAMP, { force: true });
  const tsc = path.join(ROOT, 'node_modules', 'typescript', 'bin', 'tsc');
  if (!existsSync(tsc)) {
    console.error('build: there is no compiler, run npm ci first');
    process.exit(1);
  }
  const { status } = spawnSync(process.execPath, [tsc, '-p', 'tsconfig.build.json'], { cwd: ROOT, stdio: 'inherit' });
  if (status !== 0) {
    console.error('build: failed');
    process.exit(1);
  }
  mkdirSync(path.dirname(STAMP), { recursive: true });
  writeFileSync(STAMP, lasting);
  utimesSync(STAMP, began, began);
}

function filesIn(place) {
  if (!existsSync(place)) return [];
  if (statSync(place).isFile()) return [place];
  return readdirSync(place, { withFileTypes: true }).flatMap((entry) => {
    const child = path.join(place, entry.name);
    if (entry.isDirectory()) return filesIn(child);
    return entry.name.endsWith('.ts') && !entry.name.endsWith('.spec.ts') ? [child] : [];
  });
}

function listOf(sources) {
  return `${sources.map((file) => path.relative(ROOT, file)).join('\n')}\n`;
}
