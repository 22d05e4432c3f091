import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { readProfiles } from './read-profiles.ts'

async function read(text: string, env: Readonly<Record<string, string>> = {}) {
  const folder = await mkdtemp(join(tmpdir(), 'nexus-cli-'))
  onTestFinished(() => rm(folder, { recursive: true }))
  const path = join(folder, 'p.yaml')
  await writeFile(path, text)
  return readProfiles(path, env).catch((error: unknown) => {
    throw new Error(String(error).replaceAll(path, 'p.yaml'))
  })
}

const one = (fields: string): string => `providers:\n  - name: acme\n    client_id: c\n${fields}`

test('a profile has the place where it stands', async () => {
  const [profile] = await read(one('    scopes: [a, b]\n'))
  expect(profile?.input).toEqual({ name: 'acme', client_id: 'c', scopes: ['a', 'b'] })
  expect(profile?.place).toMatch(/p\.yaml:2:5$/)
})

test('a variable can be nothing but a value, whatever it holds', async () => {
  const hostile = 'x"\n  - name: another\n    client_id: y # ${SECRET} {{'
  const profiles = await read(one('    client_secret: "${SECRET}"\n'), { SECRET: hostile })
  expect(profiles.map(({ input }) => input)).toEqual([{ name: 'acme', client_id: 'c', client_secret: hostile }])
})

test('the names of fields are not expanded', async () => {
  const [profile] = await read(one('    params: { "${x}": y }\n'))
  expect(profile?.input.params).toEqual({ '${x}': 'y' })
})

test.each([
  [
    'a variable that is missing',
    one('    client_secret: ${NO_SUCH}\n'),
    /p\.yaml:4:20: the variable NO_SUCH is not set$/,
  ],
  ['a field that there is none of', one('    secret: canary\n'), /p\.yaml:4:13: secret: there is no such field$/],
  [
    'a variable without braces',
    one('    client_secret: $CANARY_NAME\n'),
    /p\.yaml:4:20: client_secret: write \$\{NAME\}/,
  ],
  ['a colon in a value', one('    description: a: canary\n'), /p\.yaml:4:\d+: this is no YAML \(a colon .* quotes\)/],
  ['a tab', 'providers:\n\t- name: canary\n', /p\.yaml:2:1: this is no YAML \(a tab: indent with spaces\)/],
  ['a value of another kind', one('    scopes: canary\n'), /p\.yaml:4:13: scopes: /],
  [
    'a name twice',
    `${one('')}  - name: acme\n    client_id: canary\n`,
    /p\.yaml:4:5: acme is there already, at p\.yaml:2:5/,
  ],
  ['a field twice', one('    client_id: canary\n'), /p\.yaml:4:5: this field is there already/],
  ['no YAML', one('    client_secret: "canary\n'), /p\.yaml:\d+:\d+: this is no YAML/],
  ['an anchor that is not there', one('    client_secret: *canary\n'), /p\.yaml:4:20: there is no such anchor/],
  ['something after a value', one('    client_secret: "x" canary\n'), /p\.yaml:4:\d+: this is no YAML/],
  ['a block that is none', one('    client_secret: |canary\n'), /p\.yaml:4:\d+: this is no YAML/],
  ['no list', 'providers: canary\n', /write providers: and below it a list/],
  ['something beside it', `${one('')}others: []\n`, /nothing else/],
  ['nothing', '', /write providers:/],
  ['a bomb', bomb(), /too many aliases/],
])('%s is refused with its place and without its value', async (_, text, message) => {
  const refused: unknown = await read(text).catch((error: unknown) => error)
  expect(refused).toBeInstanceOf(Error)
  expect((refused as Error).message).toMatch(message)
  expect(String(refused)).not.toContain('canary')
})

test('a file that is not there is named', async () => {
  await expect(readProfiles('/nowhere/p.yaml', {})).rejects.toThrow('/nowhere/p.yaml cannot be read (ENOENT)')
})

/** Nine levels of nine aliases each: half a billion of them. */
function bomb(): string {
  const aliases = (n: number): string => Array.from({ length: 9 }, () => `*a${n}`).join(', ')
  const levels = Array.from({ length: 9 }, (_, n) => `    a${n + 1}: &a${n + 1} [${aliases(n)}]`)
  return `providers:\n  - a0: &a0 [x]\n${levels.join('\n')}\n`
}
