import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readFileSync, writeFileSync, chmodSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startCluster, type Cluster } from './embedded-postgres.ts'
import { removeHome } from './postgres-home.ts'
import { runOnServer } from './test-databases.ts'

let dir: string
let cluster: Cluster

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'nexus-cluster-'))
  chmodSync(dir, 0o755)
  cluster = await startCluster(dir)
  await runOnServer(cluster.url('postgres'), 'create table kept(a int)')
})

afterAll(async () => {
  await cluster[Symbol.asyncDispose]()
  removeHome(dir)
})

function addRow(): Promise<unknown> {
  return runOnServer(cluster.url('postgres'), 'insert into kept values (1)')
}

async function countRows(): Promise<number> {
  const { rows } = await runOnServer(cluster.url('postgres'), 'select count(*)::int n from kept')
  return rows[0].n
}

test('strangers on this machine need the password', async () => {
  const stranger = new pg.Client({ connectionString: cluster.url('postgres').replace(/:[^:@]+@/, ':guess@') })
  await expect(stranger.connect()).rejects.toThrow('password authentication failed')
})

test.each(['fast', 'immediate'] as const)('data survives a %s stop, on the same port', async (mode) => {
  const before = await countRows()
  await addRow()
  await cluster.stop(mode)
  await expect(countRows()).rejects.toThrow('ECONNREFUSED')
  await cluster.start()
  expect(await countRows()).toBe(before + 1)
})

test('it starts again after a kill -9, though its lock file is still there', async () => {
  const { pid } = cluster
  process.kill(pid, 'SIGKILL')
  await expect.poll(() => isAlive(pid), { timeout: 10_000 }).toBe(false)
  await cluster.start()
  await expect(addRow()).resolves.toBeDefined()
})

test('a lock file that names a living stranger does not stop it', async () => {
  await cluster.stop('fast')
  const stranger = spawn('sleep', ['600'])
  const [, ...rest] = ['', dir, '1', '1', '', '127.0.0.1', '1 1', 'ready']
  writeFileSync(join(dir, 'data', 'postmaster.pid'), [stranger.pid, ...rest].join('\n'))
  await cluster.start()
  stranger.kill()
  await expect(addRow()).resolves.toBeDefined()
})

test('a second server on the same data is refused, in words', async () => {
  await expect(startCluster(dir)).rejects.toThrow(
    `PostgreSQL is running on ${join(dir, 'data')} already (process ${cluster.pid}, port ${cluster.port})`,
  )
  await expect(cluster.start()).rejects.toThrow('running already')
})

test('a taken port is refused, in words', async () => {
  const other = mkdtempSync(join(tmpdir(), 'nexus-cluster-'))
  await expect(startCluster(other, { port: cluster.port })).rejects.toThrow(`port ${cluster.port} is taken`)
  removeHome(other)
})

describe.runIf(process.getuid?.() === 0)('as root', () => {
  test('data moves out of a folder that the server cannot enter, and comes back with it', async () => {
    const closed = mkdtempSync(join(tmpdir(), 'nexus-closed-'))
    const first = await startCluster(join(closed, 'pg'))
    await runOnServer(first.url('postgres'), 'create table kept(a int)')
    await first.stop()
    const moved = readFileSync(join(closed, 'pg', 'moved-to'), 'utf8').trim()
    await using second = await startCluster(join(closed, 'pg'))
    await expect(runOnServer(second.url('postgres'), 'select * from kept')).resolves.toBeDefined()
    await second.stop()
    removeHome(join(closed, 'pg'))
    expect(existsSync(moved)).toBe(false)
    rmSync(closed, { recursive: true })
  })
})

test('the server ends with the process that started it, even by kill -9', async () => {
  const lone = mkdtempSync(join(tmpdir(), 'nexus-cluster-'))
  chmodSync(lone, 0o755)
  const script = `
    const { startCluster } = await import(${JSON.stringify(new URL('./embedded-postgres.ts', import.meta.url).href)})
    const cluster = await startCluster(${JSON.stringify(lone)})
    console.log(cluster.pid)
    setInterval(() => {}, 1000)`
  const parent = spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const [said] = await once(parent.stdout, 'data')
  const pid = Number(String(said))
  expect(() => process.kill(pid, 0)).not.toThrow()
  parent.kill('SIGKILL')
  await expect.poll(() => isAlive(pid), { timeout: 10_000 }).toBe(false)
  removeHome(lone)
})

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}
