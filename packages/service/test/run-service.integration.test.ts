import { createServer } from 'node:net'
import { once } from 'node:events'
import { freePort, spawnService } from '@nexus/testing'
import { expect, test } from 'vitest'

const entry = new URL('run-service-program.ts', import.meta.url).pathname
const start = (mode: string, ready: RegExp = /test-program is up/) =>
  spawnService({ entry, env: { MODE: mode }, ready: { log: ready } })

/** How a program that cannot start ends, and what it says. */
async function endOf(mode: string, port?: number) {
  const options = { entry, env: { MODE: mode }, ready: { log: /cannot start: .*\n/ } }
  await using service = await spawnService(port === undefined ? options : { ...options, port })
  return { ending: await service.ended, output: service.output() }
}

test.each(['SIGTERM', 'SIGINT'] as const)(
  '[R6] %s: what is in flight finishes, then it disposes and exits with 0',
  async (signal) => {
    await using service = await start('plain')
    const answer = fetch(`${service.url}/slow`)
    await service.waitForOutput(/slow begun/)
    const ending = service.stop(signal)
    expect(await (await answer).text()).toBe('slow done')
    expect(await ending).toEqual({ exitCode: 0, signal: null })
    expect(service.output()).toMatch(/is draining[\s\S]*disposed[\s\S]*has stopped/)
  },
)

test('[R6] a drain that takes longer than the grace period ends with 1', async () => {
  await using service = await start('close-hangs')
  expect(await service.stop()).toEqual({ exitCode: 1, signal: null })
  expect(service.output()).toContain('did not drain within its grace period')
})

test('[R6] a second signal ends it at once', async () => {
  await using service = await start('plain')
  const answer = fetch(`${service.url}/slow`).catch(() => 'cut')
  await service.waitForOutput(/slow begun/)
  process.kill(service.pid, 'SIGTERM')
  await service.waitForOutput(/is draining/)
  expect(await service.stop()).toEqual({ exitCode: 1, signal: null })
  expect(await answer).toBe('cut')
  expect(service.output()).toContain('second signal')
})

test('a failure while disposing ends with 1 and is logged', async () => {
  await using service = await start('close-fails')
  expect(await service.stop()).toEqual({ exitCode: 1, signal: null })
  expect(service.output()).toContain('a lease could not be released')
})

test('faults of the configuration are listed, all at once, without a stack', async () => {
  const { ending, output } = await endOf('config')
  expect(ending).toEqual({ exitCode: 1, signal: null })
  expect(output).toMatch(
    /^test-program cannot start: its configuration has faults\n(?: {2}- (?:MISSING|ALSO_MISSING): .+\n){2}$/,
  )
})

test('any other failure to start is one clear line, and a log entry with its cause', async () => {
  const { ending, output } = await endOf('start-fails')
  expect(ending).toEqual({ exitCode: 1, signal: null })
  expect(output).toContain('test-program cannot start: the store is of another version\n')
  expect(output).toContain('"message":"why"')
})

test('a port in use is named', async () => {
  const port = await freePort()
  await using other = createServer().listen(port, '127.0.0.1')
  await once(other, 'listening')
  const { ending, output } = await endOf('plain', port)
  expect(ending).toEqual({ exitCode: 1, signal: null })
  expect(output).toBe(`test-program cannot start: port ${port} is already in use on 127.0.0.1\n`)
})

test('a start that hangs gives up after the grace period once it is told to stop', async () => {
  await using service = await start('start-hangs', /starting/)
  expect(await service.stop()).toEqual({ exitCode: 1, signal: null })
  expect(service.output()).toContain('it was told to stop before it was up')
})

test.each([
  ['/reject', 'nobody caught this'],
  ['/throw', 'nobody caught that'],
])('an error that nothing caught (%s) is logged and ends the process with 1', async (path, message) => {
  await using service = await start('plain')
  await fetch(`${service.url}${path}`).catch(() => undefined)
  expect(await service.ended).toEqual({ exitCode: 1, signal: null })
  expect(service.output()).toContain('"level":"fatal"')
  expect(service.output()).toContain(message)
})
