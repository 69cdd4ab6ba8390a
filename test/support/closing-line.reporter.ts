import type { Reporter, TestModule } from 'vitest/node';

/**
 * Prints `N passed, M failed` alone on the last line, counted over test cases of all projects; `, K skipped` follows
 * if there are any. A file that failed outside its tests (it could not be loaded, a hook threw) and an error that no
 * test caught count as one failure each.
 */
class ClosingLineReporter implements Reporter {
  onTestRunEnd(testModules: readonly TestModule[], unhandledErrors: readonly unknown[]): void {
    const count = { passed: 0, failed: unhandledErrors.length, skipped: 0, pending: 0 };
    for (const testModule of testModules) {
      const before = count.failed;
      for (const test of testModule.children.allTests()) count[test.result().state] += 1;
      if (testModule.state() === 'failed' && count.failed === before) count.failed += 1;
    }
    const line = `${count.passed} passed, ${count.failed + count.pending} failed`;
    const skipped = count.skipped > 0 ? `, ${count.skipped} skipped` : '';
    // On exit, so that nothing comes after it.
    process.once('exit', () => process.stdout.write(`\n${line}${skipped}\n`));
  }
}

// vitest takes a reporter's file by its default export.
export { ClosingLineReporter as default };
