// npm test [-- arguments of vitest]: brings what the tests need, runs them, and ends with one plain line that says how
// many passed and how many failed. PostgreSQL and Redis are brought by the tests themselves (@nexus/testing).
import { spawn, spawnSync, type SpawnSyncOptions } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, globSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { root } from './bootstrap/places.mjs'

type Counts = { readonly passed: number; readonly failed: number }

/** @returns the exit code */
const main = async (args: readonly string[]): Promise<number> => {
  bringChromium()
  const folder = mkdtempSync(join(tmpdir(), 'nexus-tests-'))
  try {
    const report = join(folder, 'report.json')
    const code = await runVitest(args, report)
    const counts = existsSync(report) ? count(readFileSync(report, 'utf8')) : undefined
    // asked for help or a list, or stopped before the first test
    if (counts === undefined) return code
    // an error outside of any test (a setup, a promise nobody awaited) fails the run just as well
    const failed = code !== 0 && counts.failed === 0 ? 1 : counts.failed
    process.stdout.write(`\n${counts.passed} passed, ${failed} failed\n`)
    return failed > 0 && code === 0 ? 1 : code
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

const runVitest = async (args: readonly string[], report: string): Promise<number> => {
  const chosen = args.some((arg) => arg.startsWith('--reporter')) ? [] : ['--reporter=default']
  const reporters = [...chosen, '--reporter=json', `--outputFile.json=${report}`]
  const vitest = spawn(process.execPath, [join(root, 'node_modules/vitest/vitest.mjs'), 'run', ...reporters, ...args], {
    cwd: root,
    stdio: 'inherit',
    // the services that tests start by the dozen load compiled code
    env: { NODE_COMPILE_CACHE: join(root, '.nexus/compile-cache'), ...process.env },
  })
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => {
      // the terminal has sent its Ctrl-C to vitest too, and a second one would cut off what it cleans up
      if (signal !== 'SIGINT' || !process.stdin.isTTY) vitest.kill(signal)
    })
  }
  process.once('disconnect', () => vitest.kill())
  process.channel?.unref()
  await once(vitest, 'exit')
  return vitest.exitCode ?? 1
}

/** A file that could not be loaded has no tests, but failed. */
const count = (report: string): Counts => {
  const { numPassedTests, testResults }: Report = JSON.parse(report)
  const failures = testResults.map(({ status, assertionResults }) => {
    const failed = assertionResults.filter((result) => result.status === 'failed').length
    return status === 'failed' ? Math.max(failed, 1) : failed
  })
  return { passed: numPassedTests, failed: failures.reduce((sum, failed) => sum + failed, 0) }
}

/** What vitest's JSON reporter writes, as far as it is read here. */
type Report = {
  readonly numPassedTests: number
  readonly testResults: readonly {
    readonly status: string
    readonly assertionResults: readonly { readonly status: string }[]
  }[]
}

/** Where tests drive a real browser, Debian's can be installed by root. */
const bringChromium = (): void => {
  const chromium = process.env['CHROMIUM'] ?? '/usr/bin/chromium'
  const files = globSync('services/*/test/e2e/**/*.ts', { cwd: root, exclude: ['**/node_modules/**'] })
  const isNeeded = files.some((file) => readFileSync(join(root, file), 'utf8').includes("from 'playwright-core'"))
  if (!isNeeded || existsSync(chromium)) return
  if (process.getuid?.() === 0 && existsSync('/usr/bin/apt-get')) {
    process.stderr.write('installing chromium (once) …\n')
    const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }
    const options: SpawnSyncOptions = { stdio: ['ignore', 'ignore', 'inherit'], env }
    spawnSync('apt-get', ['update', '-q'], options)
    spawnSync('apt-get', ['install', '-q', '-y', '--no-install-recommends', 'chromium'], options)
  }
  if (existsSync(chromium)) return
  process.stderr.write(
    `some tests drive a browser, and ${chromium} is missing: install it, or name another by CHROMIUM\n`,
  )
}

process.exitCode = await main(process.argv.slice(2))
