import { expect, test } from 'vitest'
import { callCommand } from '../test/broker-command.ts'

const run = (args: readonly string[]) => callCommand(args, { DATABASE_URL: 'postgresql://127.0.0.1:1/none' })

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
