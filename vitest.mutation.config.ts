import { defineConfig } from 'vitest/config';

/** The specs that `npm run mutation` judges: those of the pure room `src/pci`, and what Nova answered. */
export default defineConfig({
  test: {
    environment: 'node',
    globals: false,
    include: ['src/pci/**/*.spec.ts', 'conformance/**/*.spec.ts'],
    // thousands of random inputs for each mutant, and no answer looked at
    exclude: ['src/pci/hostile-input.spec.ts'],
    testTimeout: 20_000,
  },
});
