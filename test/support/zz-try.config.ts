import { defineConfig } from 'vitest/config';
const g = { globalSetup: ['test/support/services.ts'], testTimeout: 60000, hookTimeout: 60000 };
export default defineConfig({ test: { reporters: ['default','./test/support/closing-line.reporter.ts'], projects: [
 { test: { ...g, name: 'a', include: ['test/support/zz-try-a.ts'] } }, { test: { ...g, name: 'b', include: ['test/support/zz-try-b.ts'] } }]}});
