import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'
import { spawnService, type Service, type ServiceOptions } from './spawn-service.ts'

let dir: string
let entry: string

beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'nexus-service-'))
  entry = join(dir, 'service.ts')
  writeFileSync(
    entry,
    `import { createServer } from 'node:http'
     const environment: string[] = Object.keys(process.env)
     const server = createServer((request, response) => response.end(environment.join(' ')))
     server.listen(Number(process.env.PORT), '127.0.0.1', () => console.log('listening on :' + server.address().port))
     process.on('SIGTERM', () => { console.error('draining'); server.close(() => process.exit(7)); server.closeAllConnections() })`,
  )
})

afterAll(() => rmSync(dir, { recursive: true }))

async function start(options: Partial<ServiceOptions> = {}): Promise<Service> {
  const service = await spawnService({ entry, ...options })
  onTestFinished(() => service[Symbol.asyncDispose]())
  return service
}

test('is ready when it answers, sees only the environment it is given, and drains on SIGTERM', async () => {
  const service = await start({ env: { ANSWER: '42' } })
  const seen = await (await fetch(service.url, { headers: { connection: 'close' } })).text()
  // a run of all tests shares its compiled code with what it starts
  const given = seen.split(' ').filter((name) => name !== 'NODE_COMPILE_CACHE')
  expect(given.toSorted()).toEqual(['ANSWER', 'PATH', 'PORT'])
  expect(await service.stop()).toEqual({ exitCode: 7, signal: null })
  expect(service.output()).toMatch(/listening on .*\n.*draining/)
})

test('says by its log where it listens', async () => {
  const service = await start({ port: 0, ready: { log: /listening on :(?<port>\d+)/ } })
  expect((await fetch(service.url)).status).toBe(200)
  expect(await service.kill9()).toEqual({ exitCode: null, signal: 'SIGKILL' })
})

test('a paused one does not answer until it is resumed, and can be stopped', async () => {
  const service = await start()
  service.pause()
  await expect(fetch(service.url, { signal: AbortSignal.timeout(200) })).rejects.toThrow('timeout')
  service.resume()
  expect((await fetch(service.url, { headers: { connection: 'close' } })).status).toBe(200)
  service.pause()
  expect(await service.stop()).toEqual({ exitCode: 7, signal: null })
})

test('one that ends instead of starting is an error with its last words', async () => {
  const broken = join(dir, 'broken.ts')
  writeFileSync(broken, `console.error('no key'); process.exit(1)`)
  await expect(start({ entry: broken })).rejects.toThrow(/ended instead of starting:\nno key/)
  await expect(start({ entry: broken, ready: { log: /ready/ } })).rejects.toThrow(
    /ended without saying \/ready\/:\nno key/,
  )
})

test('one that never gets ready is an error too', async () => {
  await expect(start({ ready: { log: /never/ }, startWithinMs: 500 })).rejects.toThrow(
    'did not say /never/ within 500 ms',
  )
})
