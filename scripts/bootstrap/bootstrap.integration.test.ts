// bootstrap.mjs in a checkout of its own, with programs in place of npm and pnpm that install in a moment: what it does
// around them is tested here, the real ones by every run from a clean clone.
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { expect, onTestFinished, test } from 'vitest'

const scripts = dirname(dirname(fileURLToPath(import.meta.url)))

const fakePnpm = `
import { appendFileSync, existsSync, mkdirSync } from 'node:fs'
mkdirSync('node_modules', { recursive: true })
appendFileSync('installs.log', JSON.stringify({ args: process.argv.slice(2), home: process.env.HOME }) + '\\n')
if (existsSync('hang')) setInterval(() => undefined, 1000)
else if (existsSync('fail')) process.exit(1)
else setTimeout(() => undefined, 300)
`

const fakeNpm = `#!/bin/sh
test "$1" = ci || exit 9
mkdir -p node_modules/pnpm/bin
cat > node_modules/pnpm/bin/pnpm.mjs <<'END'
${fakePnpm}
END
`

const hello = `
const [what] = process.argv.slice(2)
if (what === 'wait') {
  process.on('SIGTERM', () => process.exit(7))
  process.once('disconnect', () => process.exit(8))
} else process.exitCode = Number(what ?? 0)
console.log(JSON.stringify({ args: process.argv.slice(2), home: process.env['HOME'] }))
`

const makeCheckout = (): string => {
  const root = mkdtempSync(join(tmpdir(), 'nexus-bootstrap-'))
  onTestFinished(() => rmSync(root, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 }))
  for (const path of ['bootstrap', 'bootstrap.mjs', 'toolchain']) {
    cpSync(join(scripts, path), join(root, 'scripts', path), { recursive: true })
  }
  for (const file of ['package.json', 'pnpm-lock.yaml', 'pnpm-workspace.yaml']) writeFileSync(join(root, file), '{}')
  mkdirSync(join(root, 'programs'))
  writeFileSync(join(root, 'programs/npm'), fakeNpm, { mode: 0o755 })
  writeFileSync(join(root, 'hello.ts'), hello)
  return root
}

const start = (root: string, args: readonly string[], env: Readonly<Record<string, string>> = {}): ChildProcess => {
  const path = [join(root, 'programs'), '/usr/bin', '/bin'].join(delimiter)
  const child = spawn(process.execPath, [join(root, 'scripts/bootstrap.mjs'), ...args], {
    env: { PATH: path, HOME: root, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  onTestFinished(() => void child.kill('SIGKILL'))
  return child
}

const finish = async (child: ChildProcess) => {
  const said = { stdout: '', stderr: '' }
  child.stdout?.on('data', (chunk: Buffer) => (said.stdout += chunk.toString()))
  child.stderr?.on('data', (chunk: Buffer) => (said.stderr += chunk.toString()))
  await once(child, 'close')
  return { ...said, code: child.exitCode, signal: child.signalCode }
}

const run = (root: string, args: readonly string[], env?: Readonly<Record<string, string>>) =>
  finish(start(root, args, env))

const installs = (root: string): readonly string[] => {
  const log = join(root, 'installs.log')
  return existsSync(log) ? readFileSync(log, 'utf8').trim().split('\n') : []
}

const until = async (what: string, condition: () => boolean): Promise<void> => {
  const deadline = Date.now() + 15_000
  while (!condition()) {
    if (Date.now() > deadline) throw new Error(`in vain: ${what}`)
    await sleep(20)
  }
}

test('installs once per lockfile, runs the script with its arguments, keeps stdout clean, ends with its exit code', async () => {
  const root = makeCheckout()
  const first = await run(root, ['hello.ts', '3', '--flag'])
  expect(first).toMatchObject({ code: 3, signal: null })
  expect(JSON.parse(first.stdout)).toMatchObject({ args: ['3', '--flag'] })
  expect(first.stderr).toMatch(/installed dependencies/)
  const second = await run(root, ['hello.ts'])
  expect(second).toMatchObject({ code: 0, stderr: '' })
  expect(installs(root)).toHaveLength(1)
  expect(installs(root)[0]).toContain('"--frozen-lockfile","--prod=false"')

  writeFileSync(join(root, 'pnpm-lock.yaml'), 'changed')
  await run(root, ['hello.ts'])
  expect(installs(root)).toHaveLength(2)
})

test('of several at once one installs, the others wait for it and then run', async () => {
  const root = makeCheckout()
  const all = await Promise.all([1, 2, 3, 4].map(() => run(root, ['hello.ts'])))
  expect(all.map(({ code }) => code)).toEqual([0, 0, 0, 0])
  expect(installs(root)).toHaveLength(1)
  expect(all.filter(({ stderr }) => stderr.includes('which is installing here'))).not.toHaveLength(0)
})

test('an install that was killed is done again; nobody begins while the orphaned installer still works', async () => {
  const root = makeCheckout()
  writeFileSync(join(root, 'hang'), '')
  const killed = start(root, ['hello.ts'])
  await until('the install begins', () => installs(root).length === 1)
  killed.kill('SIGKILL')
  rmSync(join(root, 'hang'))

  const next = start(root, ['hello.ts'])
  const ended = finish(next)
  const [words] = await once(next.stderr ?? next, 'data')
  const orphan = /waiting for process (\d+)/.exec(String(words))?.[1]
  expect(installs(root)).toHaveLength(1)
  process.kill(Number(orphan), 'SIGKILL')
  expect(await ended).toMatchObject({ code: 0 })
  expect(installs(root)).toHaveLength(2)
})

test('a failed install says so in a line, leaves nothing that looks complete, and is done again', async () => {
  const root = makeCheckout()
  writeFileSync(join(root, 'fail'), '')
  const failed = await run(root, ['hello.ts'])
  expect(failed).toMatchObject({ code: 1, stdout: '' })
  expect(failed.stderr).toMatch(/^error: could not install dependencies: .*$/m)
  rmSync(join(root, 'fail'))
  expect(await run(root, ['hello.ts'])).toMatchObject({ code: 0 })
})

test('without npm it says what is missing', async () => {
  const root = makeCheckout()
  const { code, stderr } = await run(root, ['hello.ts'], { PATH: '/nonexistent' })
  expect(code).toBe(1)
  expect(stderr).toMatch(/^error: npm is not installed$/m)
})

test.each([
  ['is empty', ''],
  ['does not exist', '/nonexistent/home'],
])('a HOME that %s is replaced by one beside the toolchain', async (_, home) => {
  const root = makeCheckout()
  const { code, stdout } = await run(root, ['hello.ts'], { HOME: home, XDG_CACHE_HOME: '/nonexistent/cache' })
  expect(code).toBe(0)
  expect(JSON.parse(stdout)).toMatchObject({ home: join(root, '.nexus/home') })
})

test('a signal reaches the script, and the script ends when its parent is killed', async () => {
  const root = makeCheckout()
  await run(root, ['hello.ts'])
  const asked = start(root, ['hello.ts', 'wait'])
  const ended = finish(asked)
  await once(asked.stdout ?? asked, 'data')
  asked.kill('SIGTERM')
  expect(await ended).toMatchObject({ code: 7 })

  const killed = start(root, ['hello.ts', 'wait'])
  const closed = finish(killed)
  await once(killed.stdout ?? killed, 'data')
  killed.kill('SIGKILL')
  // stdout closes only when the script, which holds it too, has ended
  expect(await closed).toMatchObject({ signal: 'SIGKILL' })
})

test('a checkout that cannot be written to is named', async () => {
  const root = makeCheckout()
  writeFileSync(join(root, '.nexus'), '')
  const { code, stderr } = await run(root, ['hello.ts'])
  expect(code).toBe(1)
  expect(stderr).toMatch(/^error: cannot make .*\.nexus \(EEXIST\): use a checkout that belongs to you$/m)
})
