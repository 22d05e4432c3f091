import { spawnSync } from 'node:child_process'
import { expect, test } from 'vitest'
import { runNexus } from './nexus-process.ts'

const { stdout: script } = await runNexus(['completion', 'bash'])

/** What bash itself offers for what was typed so far; the last word may be begun or empty. */
function complete(typed: readonly string[]): readonly string[] {
  const program = `
    set -u
    ${script}
    complete -p nexus >/dev/null
    COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMPREPLY=()
    _nexus
    printf '%s\\n' "\${COMPREPLY[@]+"\${COMPREPLY[@]}"}"`
  const bash = spawnSync('bash', ['--norc', '-c', program, 'bash', ...typed], {
    encoding: 'utf8',
    cwd: import.meta.dirname,
  })
  if (bash.status !== 0) throw new Error(`bash: ${bash.stderr}`)
  return bash.stdout.split('\n').filter((word) => word !== '')
}

test.each<[readonly string[], readonly string[]]>([
  [
    ['nexus', ''],
    ['hub', 'providers', 'connect', 'completion', 'help', '--version', '--help'],
  ],
  [
    ['nexus', 'h'],
    ['hub', 'help'],
  ],
  [
    ['nexus', 'hub', 'zone', ''],
    ['list', 'create', 'remove', 'help', '--help', '--remote', '--admin-token'],
  ],
  [
    ['nexus', 'hub', 'token', 'zones', ''],
    ['add', 'remove', 'show', 'help', '--help', '--remote', '--admin-token'],
  ],
  [
    ['nexus', 'hub', 'token', 'create', '--z'],
    ['--zones', '--zone', '--zones-glob'],
  ],
  [['nexus', 'hub', 'token', 'create', '--name', 'zones', '--ow'], ['--owner']],
  [['nexus', 'hub', '--remote', 'https://x', 'zone', 'cr'], ['create']],
  [['nexus', 'providers', 'plan', '--d'], ['--detailed-exitcode']],
  [['nexus', 'providers', 'plan', '--file', 'completion.t'], ['completion.test.ts']],
  [
    ['nexus', 'completion', ''],
    ['bash', 'zsh', 'fish', '--help'],
  ],
  [['nexus', 'nothing', 'such', 'x'], []],
])('bash completes %j', (typed, offered) => {
  expect(complete(typed)).toEqual(offered)
})

test('every command of the program is in each script', async () => {
  const scripts = await Promise.all(
    ['zsh', 'fish'].map(async (shell) => (await runNexus(['completion', shell])).stdout),
  )
  for (const text of [script, ...scripts]) {
    for (const path of ['hub token zones show', 'hub zone remove', 'providers export', 'connect']) {
      expect(text).toContain(`'${path}'`)
    }
  }
})

test('a shell that it does not know is a wrong call', async () => {
  const { exitCode, stdout, stderr } = await runNexus(['completion', 'cmd'])
  expect({ exitCode, stdout }).toEqual({ exitCode: 2, stdout: '' })
  expect(stderr).toMatch(/^Error: .*Allowed choices are bash, zsh, fish/)
})
