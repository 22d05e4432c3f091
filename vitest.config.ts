import { defineConfig } from 'vitest/config'

const globalSetup = ['./packages/testing/src/vitest-global-setup.ts']

export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: 'unit',
          include: ['{packages,services}/*/{src,test}/**/*.test.ts', 'scripts/**/*.test.ts'],
          exclude: ['**/*.integration.test.ts', 'services/*/test/e2e/**', '**/node_modules/**'],
          // longer than anything that is polled for
          testTimeout: 20_000,
        },
      },
      {
        test: {
          name: 'integration',
          include: ['{packages,services}/*/{src,test}/**/*.integration.test.ts', 'scripts/**/*.integration.test.ts'],
          globalSetup,
          pool: 'forks',
          testTimeout: 30_000,
          hookTimeout: 60_000,
        },
      },
      {
        test: {
          name: 'e2e',
          include: ['services/*/test/e2e/**/*.test.ts'],
          globalSetup,
          pool: 'forks',
          testTimeout: 60_000,
          hookTimeout: 60_000,
        },
      },
    ],
    // a busy machine takes its time; what is polled for is not thereby less sure
    expect: { poll: { timeout: 10_000 } },
    // order between files must not matter, so each run takes another
    sequence: { shuffle: { files: true, tests: false } },
    maxWorkers: 2,
  },
})
