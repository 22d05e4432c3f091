import { randomBytes } from 'node:crypto'
import { expect, test } from 'vitest'
import { callCommand } from '../test/broker-command.ts'

const run = (args: readonly string[]) =>
  callCommand(args, {
    DATABASE_URL: 'postgresql://127.0.0.1:1/none',
    ENCRYPTION_KEY: randomBytes(32).toString('base64'),
  })

test.each([
  [['sideways'], 'there is no command sideways'],
  [['migrate'], 'migrate takes up, down or status'],
  [['migrate', 'sideways'], 'migrate takes up, down or status'],
  [['migrate', 'up', 'extra'], `Unexpected argument 'extra'`],
  [['migrate', 'down', '--count', '0'], '--count takes a whole number from 1'],
  [['migrate', 'down', '--count', 'many'], '--count takes a whole number from 1'],
  [['migrate', 'status', '--surprise'], `Unknown option '--surprise'`],
  [['serve', 'extra'], 'serve takes no arguments, not extra'],
])('a mistake in how it is called is told in a line, exit code 2: %j', async (args, message) => {
  const { exitCode, stdout, stderr } = await run(args)
  expect({ exitCode, stdout }).toEqual({ exitCode: 2, stdout: '' })
  expect(stderr).toContain(message)
  expect(stderr).toMatch(/\nTry: nexus-broker --help\n$/)
})

test.each([
  [['keys'], 'keys takes status, add, rotate or retire', 'keys'],
  [['keys', 'sideways'], 'keys takes status, add, rotate or retire', 'keys'],
  [['keys', 'status', 'extra'], `Unexpected argument 'extra'`, 'keys'],
  [['keys', 'add', '--batch', '3'], `Unknown option '--batch'`, 'keys'],
  [['keys', 'rotate', '--batch', '0'], '--batch takes a whole number from 1 to 5000', 'keys'],
  [['keys', 'rotate', '--batch', '5001'], '--batch takes a whole number from 1 to 5000', 'keys'],
  [['keys', 'retire'], 'keys retire takes the id of one key', 'keys'],
  [['keys', 'retire', 'ABCDEF01'], 'keys retire takes the id of one key', 'keys'],
  [['keys', 'retire', '01234567', '89abcdef'], 'keys retire takes the id of one key', 'keys'],
  [['vault'], 'vault takes verify', 'vault'],
  [['vault', 'verify', '--batch', 'many'], '--batch takes a whole number from 1 to 5000', 'vault'],
])('a mistake in a command that has a help of its own leads there, exit code 2: %j', async (args, message, command) => {
  const { exitCode, stdout, stderr } = await run(args)
  expect({ exitCode, stdout }).toEqual({ exitCode: 2, stdout: '' })
  expect(stderr).toContain(message)
  expect(stderr.endsWith(`\nTry: nexus-broker ${command} --help\n`)).toBe(true)
})

test.each([
  [['keys', '--help'], 'nexus-broker keys rotate --json'],
  [['keys', 'rotate', '--help'], 'docker compose run --rm broker keys status'],
  [['vault', 'help'], 'nexus-broker vault verify --json'],
])('%j tells how it is used, with examples, and needs no configuration', async (args, example) => {
  const { exitCode, stdout, stderr } = await callCommand(args, {})
  expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' })
  expect(stdout).toMatch(/Examples:\n\n/)
  expect(stdout).toContain(example)
})

test('keys and vault ask for the database and the keys, and for nothing else', async () => {
  for (const args of [
    ['keys', 'status'],
    ['vault', 'verify'],
  ]) {
    const { exitCode, stderr } = await callCommand(args, {})
    expect(exitCode).toBe(1)
    expect(stderr.match(/^ {2}(\w+):/gm)).toEqual(['  DATABASE_URL:', '  ENCRYPTION_KEY:'])
  }
})

test('help is told to whoever asks, and to whoever says nothing', async () => {
  for (const args of [['--help'], ['-h'], ['help']]) expect((await run(args)).exitCode).toBe(0)
  const { exitCode, stdout } = await run([])
  expect(exitCode).toBe(2)
  expect(stdout).toContain('nexus-broker migrate up')
})

test('faults are told without a stack, exit code 1', async () => {
  const { exitCode, stderr } = await run(['migrate', 'status'])
  expect(exitCode).toBe(1)
  expect(stderr).toMatch(/^nexus-broker: .*ECONNREFUSED.*\n$/)
})
