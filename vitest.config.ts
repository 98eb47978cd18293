import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    pool: 'forks',
    reporters: ['default', './test/skip-reporter.ts'],
    testTimeout: 20_000,
    hookTimeout: 60_000,
    // A process that starts may need more than vitest's second on a machine that does something else too.
    expect: { poll: { timeout: 10_000 } },
    // Two cores on a small machine: more forks only make child processes start later than their tests expect.
    maxWorkers: 2,
  },
})
