import type { Command } from 'commander'
import { expect, test } from 'vitest'
import { listCommandWords } from '../src/completion/command-words.ts'
import { buildProgram } from '../src/run-cli.ts'
import { runNexus } from './nexus-process.ts'

const unused = new Proxy({}, { get: () => undefined }) as never
const program = buildProgram({
  io: { stdout: unused, stderr: unused, env: {} } as never,
  services: unused,
  exitWith: unused,
})

function listCommands(command: Command): readonly Command[] {
  return [command, ...command.commands.flatMap(listCommands)]
}

const commands = new Map(listCommandWords(program).map(({ path, words }) => [path, words.map(({ word }) => word)]))

test.each([...commands.keys()])('nexus %s --help shows examples, and each of them can be typed', async (path) => {
  const { exitCode, stdout, stderr } = await runNexus([...path.split(' ').filter(Boolean), '--help'])
  expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' })
  const examples = stdout.split('\nExamples:\n')[1]?.trim().split('\n') ?? []
  expect(examples.length).toBeGreaterThan(0)
  for (const line of examples) expect(findUnknown(line), line).toEqual([])
})

/** Words of an example that are neither a command nor an option of the command before them. */
function findUnknown(line: string): readonly string[] {
  const [, typed = ''] = /(?:^|\s|\()nexus ([^|>;)]*)/.exec(line) ?? []
  const words = typed.trim().split(/\s+/)
  const steps = words.map((_, at) => words.slice(0, at + 1).join(' '))
  const path = steps.findLast((step) => commands.has(step))
  const options = words.filter((word) => word.startsWith('--'))
  return path === undefined ? words : options.filter((option) => commands.get(path)?.includes(option) !== true)
}

test('there are as many commands as are completed', () => {
  expect(listCommandWords(program)).toHaveLength(listCommands(program).length)
})

test('a word that is no command is told what was meant', async () => {
  const { exitCode, stderr } = await runNexus(['hub', 'tokn'])
  expect(exitCode).toBe(2)
  expect(stderr).toBe("Error: unknown command 'tokn'\n(Did you mean token?)\n(--help tells more)\n")
})

test('nothing at all is a wrong call that shows what there is', async () => {
  const { exitCode, stderr } = await runNexus([])
  expect(exitCode).toBe(2)
  expect(stderr).toMatch(/^Usage: nexus /)
})
