import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    pool: 'forks',
    reporters: ['default', './test/skip-reporter.ts'],
    testTimeout: 20_000,
    hookTimeout: 60_000,
    // Two cores on a small machine: more forks only make child processes start later than their tests expect.
    maxWorkers: 2,
  },
})
