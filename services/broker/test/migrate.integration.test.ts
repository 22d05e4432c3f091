import { readdirSync } from 'node:fs'
import { type TestDatabase, createTestDatabase, withDatabase } from '@nexus/testing'
import { expect, inject, onTestFinished, test } from 'vitest'
import { callCommand, runCommand, startCommand } from './broker-command.ts'
import { eventually } from './database-tools.ts'
import { brokerEnvironment, makeKeys, spawnTestBroker, startTestBroker } from './harness.ts'

const names = readdirSync(new URL('../../../migrations', import.meta.url))
  .filter((file) => file.endsWith('.sql'))
  .map((file) => file.slice(0, -4))
  .toSorted()

async function openEmpty(): Promise<TestDatabase> {
  const database = await createTestDatabase(inject('postgresUrl'))
  onTestFinished(database.drop)
  return database
}

const migrate = ({ url }: TestDatabase, ...args: string[]) => callCommand(['migrate', ...args], { DATABASE_URL: url })

async function readApplied(database: TestDatabase): Promise<readonly string[]> {
  const { rows } = await database.pool.query<{ name: string }>('select name from schema_migrations order by id')
  return rows.map(({ name }) => name)
}

async function countTables(database: TestDatabase): Promise<number> {
  const { rows } = await database.pool.query(
    `select from pg_class where relkind in ('r', 'p') and relnamespace = 'public'::regnamespace`,
  )
  return rows.length
}

test('up, status, down and up again, each with its exit code', async () => {
  const database = await openEmpty()
  const before = await migrate(database, 'status', '--json')
  expect({ ...before, stdout: JSON.parse(before.stdout) }).toEqual({
    exitCode: 1,
    stderr: '',
    stdout: { applied: [], pending: names },
  })
  expect(await countTables(database), 'to look changes nothing').toBe(0)

  const up = await migrate(database, 'up')
  expect(up).toMatchObject({ exitCode: 0, stdout: '' })
  for (const name of names) expect(up.stderr).toContain(`applying ${name}`)
  expect(up.stderr).toMatch(/audit partitions made: \d+/)
  expect(await migrate(database, 'status')).toMatchObject({
    exitCode: 0,
    stdout: names.map((name) => `applied  ${name}\n`).join(''),
  })

  const unconfirmed = await migrate(database, 'down')
  expect(unconfirmed.exitCode).toBe(2)
  expect(unconfirmed.stderr).toContain(`this would undo ${names.at(-1)} and lose the data in them; confirm with --yes`)
  expect(await readApplied(database)).toEqual(names)

  expect((await migrate(database, 'down', '--count', '2', '--yes')).exitCode).toBe(0)
  expect(await readApplied(database)).toEqual(names.slice(0, -2))
  expect((await migrate(database, 'down', '--count', '99', '--yes')).exitCode).toBe(0)
  expect(await countTables(database), 'only the list of migrations is left').toBe(1)
  expect((await migrate(database, 'up')).exitCode).toBe(0)
  expect(await readApplied(database)).toEqual(names)
})

test('faults of the configuration and of the database are told without a stack, exit code 1', async () => {
  const missing = await callCommand(['migrate', 'up'], {})
  expect(missing.exitCode).toBe(1)
  expect(missing.stderr).toContain('DATABASE_URL')
  const unknown = await callCommand(['migrate', 'up'], { DATABASE_URL: withDatabase(inject('postgresUrl'), 'no_such') })
  expect(unknown).toMatchObject({ exitCode: 1 })
  expect(unknown.stderr).toMatch(/^nexus-broker: database "no_such" does not exist\n$/)
})

test('[R7] of several at once one migrates and the others wait', { timeout: 90_000 }, async () => {
  const database = await openEmpty()
  const all = await Promise.all(
    Array.from({ length: 3 }, () => runCommand(['migrate', 'up'], { DATABASE_URL: database.url })),
  )
  expect(all.map(({ exitCode }) => exitCode)).toEqual([0, 0, 0])
  expect(all.filter(({ stderr }) => stderr.includes(`applying ${names[0]}`))).toHaveLength(1)
  expect(await readApplied(database)).toEqual(names)
})

test(
  '[R7] one killed in the middle leaves whole migrations behind, and the next one completes',
  { timeout: 90_000 },
  async () => {
    const database = await openEmpty()
    // a table that somebody else is about to create holds the migration of tokens in its middle
    const holder = await database.pool.connect()
    await holder.query('begin')
    await holder.query('create table tokens (held integer)')
    const killed = startCommand(['migrate', 'up'], { DATABASE_URL: database.url })
    await eventually('the migration stands before the held table', async () => {
      const { rows } = await database.pool.query(
        `select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`,
      )
      return rows.length > 0 || undefined
    })
    const waiting = startCommand(['migrate', 'up'], { DATABASE_URL: database.url })
    await eventually('the next one says that it waits', () => waiting.stderr().includes('waiting for it') || undefined)

    await killed.kill9()
    await holder.query('rollback')
    holder.release()
    expect(await waiting.finished).toMatchObject({ exitCode: 0 })
    expect(await readApplied(database)).toEqual(names)
    const whole = names.findIndex((name) => name.includes('tokens'))
    expect((await waiting.finished).stderr, 'what was whole is not done again').not.toContain(
      `applying ${names[whole - 1]}`,
    )
  },
)

test('[R7] two Brokers started at once on an empty database both serve', { timeout: 90_000 }, async () => {
  const database = await openEmpty()
  const keys = makeKeys()
  const brokers = await Promise.all([1, 2].map(() => spawnTestBroker(database, { keys })))
  for (const broker of brokers) {
    expect((await broker.get('/connections')).status).toBe(200)
    expect(await broker.stop()).toEqual({ exitCode: 0, signal: null })
  }
  expect(await readApplied(database)).toEqual(names)
})

test('in production an old schema is refused, with the command to run, and left as it is', async () => {
  const database = await openEmpty()
  const keys = makeKeys()
  const env = { ...brokerEnvironment(database.url, keys, 0), NODE_ENV: 'production', BASE_URL: 'https://nexus.example' }
  const { exitCode, stderr } = await runCommand(['serve'], env)
  expect(exitCode).toBe(1)
  expect(stderr).toContain(
    `the database schema is out of date (migrations pending: ${names.length}); run: nexus-broker migrate up`,
  )
  expect(await countTables(database)).toBe(0)

  expect((await migrate(database, 'up')).exitCode).toBe(0)
  await using broker = await startTestBroker(database, { keys, env: { NODE_ENV: 'production' } })
  expect((await broker.get('/connections')).status).toBe(200)
})
