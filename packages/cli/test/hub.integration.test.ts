import { type AuditEventBody, agentTokenPattern } from '@nexus/contracts'
import { freePort } from '@nexus/testing'
import { expect, vi } from 'vitest'
import { type Installation, test as base } from './installation.ts'
import { type Ended, callNexus, callWrongly, hasTerminals, runNexus, startNexus } from './nexus-process.ts'

// a command is a process of its own, which takes a second on a busy machine
vi.setConfig({ testTimeout: 120_000 })

type Hub = (...args: readonly string[]) => Promise<Ended>

const test = base
  .extend('local', { scope: 'file' }, async ({ nexus }): Promise<Hub> => {
    return (...args) => callNexus(['hub', ...args], nexus.localEnv)
  })
  .extend('remote', { scope: 'file' }, async ({ nexus, local }): Promise<Hub> => {
    const NEXUS_HUB_ADMIN_TOKEN = tokenOf(await local('token', 'create', '--name', 'administrator', '--admin'))
    const env = { NEXUS_HUB_URL: nexus.gateway.url, NEXUS_HUB_ADMIN_TOKEN }
    return (...args) => callNexus(['hub', ...args], env)
  })

const created = /^key_id: ([0-9a-f-]{36})\ntoken: {2}(sk-\S+)\n\nSave this token now — it will not be shown again\.\n$/

function tokenOf({ stdout, stderr }: Ended): string {
  const token = created.exec(stdout)?.[2]
  if (token === undefined) throw new Error(`no token was printed: ${stdout}${stderr}`)
  return token
}

const noToken = (text: string): string =>
  `Error: no active token matches '${text}': nexus hub token list --show-revoked has them all\n`

type Listed = { readonly tokens: readonly (Readonly<Record<string, unknown>> & { name: string; key_id: string })[] }

async function listTokens(hub: Hub, ...args: readonly string[]): Promise<Listed['tokens']> {
  const { stdout } = await hub('token', 'list', '--json', ...args)
  return (JSON.parse(stdout) as Listed).tokens
}

/** How the Gateway answers whoever shows this token. */
async function askGateway({ gateway }: Installation, token: string): Promise<number> {
  return (await fetch(`${gateway.url}/v1/providers`, { headers: { authorization: `Bearer ${token}` } })).status
}

test('a token is made, printed once, and lets its holder in; the audit says who made it', async ({ nexus }) => {
  const local: Hub = (...args) => runNexus(['hub', ...args], { env: nexus.localEnv })
  const made = await local('token', 'create', '--name', 'first', '--zones', ' eng:rw, ops:r ,legal', '--expires', '90d')
  // the first ones are made unasked, and named where they trouble no script
  const zones = ['eng', 'ops', 'legal'].map((zone) => `created zone ${zone}.\n`).join('')
  expect(made).toEqual({ exitCode: 0, stderr: zones, stdout: expect.stringMatching(created) as string })
  const token = tokenOf(made)
  expect(token).toMatch(agentTokenPattern)
  expect(await askGateway(nexus, token)).toBe(200)

  const [listed] = await listTokens(local)
  expect(listed).toEqual({
    key_id: created.exec(made.stdout)?.[1],
    name: 'first',
    zone: 'eng',
    zones: ['eng', 'ops', 'legal'],
    admin: false,
    created: expect.stringMatching(/Z$/) as string,
    last_used: expect.stringMatching(/^-$|Z$/) as string,
    revoked: false,
    revoked_at: '-',
  })
  const { body } = await nexus.call<{ events: AuditEventBody[] }>('GET', '/audit')
  expect(body.events.find(({ event }) => event === 'agent_token.created')).toMatchObject({
    actor_kind: 'operator',
    actor_id: expect.stringMatching(/^(operator:)?cli:./) as string,
    data: { name: 'first' },
  })
})

for (const where of ['local', 'remote'] as const) {
  test(`${where}: zones are made, listed, given to tokens, taken from them, and removed`, async ({ local, remote }) => {
    const hub = where === 'local' ? local : remote
    const zone = (name: string): string => `${where}-${name}`
    expect(await hub('zone', 'create', zone('b'))).toEqual({
      exitCode: 0,
      stdout: `created zone ${zone('b')}.\n`,
      stderr: '',
    })
    expect((await hub('zone', 'create', zone('a'))).exitCode).toBe(0)
    expect((await hub('zone', 'create', zone('a'))).exitCode, 'it is there').toBe(1)
    const name = `agent-of-${where}`
    expect((await hub('token', 'create', '--name', name, '--zones-glob', `${where}-?`)).exitCode).toBe(0)
    const change = (...args: readonly string[]) => hub('token', 'zones', ...args)
    const said = async (...args: readonly string[]) => (await change(...args)).stdout

    expect(await said('show', '--name', name)).toBe(`zone\tpermissions\n${zone('a')}\trw\n${zone('b')}\trw\n`)
    expect(await said('add', '--name', name, '--zone', 'root:r')).toBe(`added: ${name} → root (r)\n`)
    expect(await said('add', '--name', name, '--zone', 'root', '--perms', 'r')).toBe(`no change: ${name} → root (r)\n`)
    // not a way to take w alone
    expect((await change('remove', '--name', name, '--zone', `${zone('a')}:w`)).exitCode).toBe(2)
    expect(await said('remove', '--name', name, '--zone', zone('a'))).toBe(`removed: ${name} → ${zone('a')}\n`)
    expect(await said('remove', '--name', name, '--zone', zone('a'))).toBe(`no change: ${name} → ${zone('a')}\n`)
    expect(await said('remove', '--name', name, '--zone', 'root')).toBe(`removed: ${name} → root\n`)
    expect(await change('remove', '--name', name, '--zone', 'no-such-zone')).toMatchObject({
      exitCode: 1,
      stdout: '',
      stderr: expect.stringMatching(/^Error: there is no zone no-such-zone; there are: .*root/) as string,
    })
    const last = await change('remove', '--name', name, '--zone', zone('b'))
    expect(last).toMatchObject({ exitCode: 1, stdout: '', stderr: expect.stringMatching(/^Error: /) as string })
    expect(JSON.parse(await said('show', '--name', name, '--json'))).toMatchObject({
      name,
      zones: [{ zone: zone('b'), permissions: 'rw' }],
    })

    const { zones } = JSON.parse((await hub('zone', 'list', '--json')).stdout) as { zones: { name: string }[] }
    expect(zones.map((one) => one.name)).toEqual(expect.arrayContaining(['root', zone('a'), zone('b')]) as unknown)
    expect((await hub('zone', 'remove', zone('b'))).stdout).toBe(
      `removed zone ${zone('b')}: 0 connections disconnecting, 1 tokens revoked.\n`,
    )
    expect((await hub('zone', 'remove', 'root')).exitCode, 'root stays').toBe(1)
    expect((await hub('zone', 'remove', zone('b'))).stderr).toMatch(/^Error: /)
  })
}

for (const where of ['local', 'remote'] as const) {
  test(`${where}: a token is revoked by its name, its key id, the beginning of one, its prefix, or itself`, async ({
    nexus,
    local,
    remote,
  }) => {
    const hub = where === 'local' ? local : remote
    for (const [way, identify] of Object.entries({
      name: (_token: string, _keyId: string, name: string) => name,
      'key id': (_token: string, keyId: string) => keyId,
      'the beginning of one': (_token: string, keyId: string) => keyId.slice(0, -2),
      prefix: (token: string) => token.slice(0, -44),
      itself: (token: string) => token,
    })) {
      const name = `${where} by ${way}`
      const made = await hub('token', 'create', '--name', name, '--zone', 'root:r')
      const [, keyId = '', token = ''] = created.exec(made.stdout) ?? []
      const revoked = await hub('token', 'revoke', identify(token, keyId, name))
      expect(revoked, way).toEqual({ exitCode: 0, stdout: `revoked ${name} (${keyId}).\n`, stderr: '' })
      await vi.waitFor(async () => expect(await askGateway(nexus, token)).toBe(401), { timeout: 10_000 })
      const again = await hub('token', 'revoke', keyId)
      expect(again).toEqual({ exitCode: 1, stdout: '', stderr: noToken(keyId) })
    }
    const shown = await listTokens(hub, '--show-revoked')
    const ours = shown.filter(({ name }) => name.startsWith(`${where} by `))
    expect(ours).toHaveLength(5)
    expect(ours[0]).toMatchObject({ revoked: true, revoked_at: expect.stringMatching(/Z$/) as string })
    expect((await listTokens(hub)).map(({ name }) => name)).not.toContain(ours[0]?.name)
  })

  test(`${where}: one of several is not guessed`, async ({ local, remote }) => {
    const hub = where === 'local' ? local : remote
    const name = `twin of ${where}`
    const zones = [`${where}-one`, `${where}-two`]
    for (const zone of zones) {
      await local('zone', 'create', zone)
      await hub('token', 'create', '--name', name, '--zone', zone)
    }
    const { exitCode, stdout, stderr } = await hub('token', 'revoke', name)
    expect({ exitCode, stdout }).toEqual({ exitCode: 2, stdout: '' })
    expect(stderr).toMatch(
      new RegExp(`^ambiguous: 2 tokens match '${name}' — ${name} \\(.{36}\\), ${name} \\(.{36}\\)\n$`),
    )
    expect((await listTokens(hub)).filter((one) => one.name === name)).toHaveLength(2)
  })
}

test('a key id and a prefix mean the token that has them, whatever others are called', async ({ local }) => {
  for (const part of ['key_id', 'prefix'] as const) {
    const made = await local('token', 'create', '--name', `the one by ${part}`, '--zone', 'root', '--json')
    const identifier = (JSON.parse(made.stdout) as Record<typeof part, string>)[part]
    await local('token', 'create', '--name', identifier, '--zone', 'root')
    expect(await local('token', 'revoke', identifier)).toMatchObject({
      exitCode: 0,
      stdout: expect.stringMatching(`^revoked the one by ${part} `) as string,
    })
  }
})

test('a pasted token leaves its secret in no log, no URL and no message', async ({ nexus, local, remote }) => {
  const token = tokenOf(await local('token', 'create', '--name', 'pasted', '--zone', 'root'))
  const secret = token.slice(-43)
  const outputs = [
    await remote('token', 'revoke', `Bearer ${token}`),
    await remote('token', 'revoke', token),
    await remote('token', 'revoke', `${token}x`),
    await remote('token', 'revoke', token.slice(0, -5)),
  ]
  expect(outputs.map(({ exitCode }) => exitCode)).toEqual([0, 1, 2, 2])
  const said = [
    ...outputs.flatMap(({ stdout, stderr }) => [stdout, stderr]),
    nexus.gateway.output(),
    nexus.broker.output(),
  ]
  expect(said.join('\n')).not.toContain(secret.slice(0, 30))
})

test('status says how the hub is, locally and from afar', async ({ nexus, local, remote }) => {
  const here = await local('status')
  expect(here).toMatchObject({ exitCode: 0, stderr: '' })
  expect(here.stdout).toMatch(
    /^endpoint: local\nprofile: local\npostgres: ok\nredis: n\/a\ntokens: \d+ active, \d+ revoked\nconnections: 0\nqps \(5m\): [\d.]+\n$/,
  )
  const there = await remote('status', '--json', '--detail')
  expect(JSON.parse(there.stdout)).toEqual({
    endpoint: nexus.gateway.url,
    profile: 'remote',
    postgres: 'ok',
    redis: 'n/a',
    tokens: { active: expect.any(Number) as number, revoked: expect.any(Number) as number },
    connections: 0,
    qps_5m: expect.any(Number) as number,
    zones: expect.any(Number) as number,
    connections_by_status: expect.any(Object) as object,
  })
  const brief: unknown = JSON.parse((await remote('status', '--json')).stdout)
  expect(brief).not.toHaveProperty('zones')
})

test('status ends with 2 where PostgreSQL is away, and other commands with 1', async () => {
  const env = { DATABASE_URL: `postgres://nobody@127.0.0.1:${await freePort()}/nexus` }
  const status = await runNexus(['hub', 'status'], { env })
  expect(status).toMatchObject({ exitCode: 2, stdout: expect.stringMatching(/^postgres: err$/m) as string })
  const list = await runNexus(['hub', 'token', 'list'], { env })
  expect(list).toMatchObject({ exitCode: 1, stdout: '', stderr: expect.stringMatching(/^Error: [^\n]+\n$/) as string })
})

test('what is called wrongly ends with 2 before anything happens', async () => {
  const wrong: readonly (readonly string[])[] = [
    [],
    ['token'],
    ['tokens'],
    ['token', 'create'],
    ['token', 'create', '--name', 'x'],
    ['token', 'create', '--name', 'x', '--zones', ' , '],
    ['token', 'create', '--name', 'x', '--zones', 'Eng'],
    ['token', 'create', '--name', 'x', '--zones', 'eng:q'],
    ['token', 'create', '--name', 'x', '--zones', 'eng:r:w'],
    ['token', 'create', '--name', 'x', '--zone', 'eng', '--zones', 'ops'],
    ['token', 'create', '--name', 'x', '--zone', 'eng', '--zone', 'ops'],
    ['token', 'create', '--name', 'x', '--zone', 'eng,ops'],
    ['token', 'create', '--name', 'x', '--zone', 'eng', '--zones-glob', '*'],
    ['token', 'create', '--name', 'x', '--zone', 'root', '--expires', '90'],
    ['token', 'create', '--name', 'x', '--zone', 'root', '--expires', '0d'],
    ['token', 'create', '--name', 'x', '--zone', 'root', '--expires', '1w'],
    ['token', 'create', '--name', 'x', '--zone', 'root', '--colour'],
    ['token', 'revoke'],
    ['token', 'revoke', ' '],
    ['token', 'revoke', 'one', 'two'],
    ['token', 'zones', 'add', '--name', 'x'],
    ['token', 'zones', 'add', '--name', 'x', '--zone', 'eng:r', '--perms', 'w'],
    ['zone', 'create', 'Not A Zone'],
    ['status', '--remote', 'nexus.example.com', '--admin-token', 'x'],
  ]
  for (const args of wrong) {
    const { exitCode, stdout, stderr } = await callWrongly(['hub', ...args])
    expect({ exitCode, stdout }, `${args.join(' ')}: ${stderr}`).toEqual({ exitCode: 2, stdout: '' })
    expect(stderr, args.join(' ')).toMatch(/^(Error: |Usage: )/)
  }
})

test('a token that was pasted with what stood around it is taken, and one that lost some of it is told so', async ({
  nexus,
  local,
}) => {
  const token = tokenOf(await local('token', 'create', '--name', 'pasted', '--admin'))
  const status = (NEXUS_HUB_ADMIN_TOKEN: string) =>
    callNexus(['hub', 'status'], { NEXUS_HUB_URL: nexus.gateway.url, NEXUS_HUB_ADMIN_TOKEN })
  for (const pasted of [` ${token}\n`, `Bearer ${token}`]) expect(await status(pasted)).toMatchObject({ exitCode: 0 })
  for (const broken of [token.slice(0, -1), `${token}x`, `${token.slice(0, -9)} ${token.slice(-9)}`]) {
    const { exitCode, stderr } = await status(broken)
    expect({ exitCode, stderr }).toEqual({
      exitCode: 1,
      stderr: 'Error: the admin token was not copied as a whole: it ends with 43 characters behind the last _\n',
    })
  }
  const broker = await callNexus(['hub', 'status', '--remote', nexus.broker.url, '--admin-token', token], {})
  expect(broker.stderr).toMatch(/There is no such route.*hub and connect ask a Gateway/)
})

test('what is refused ends with 1 and one line', async ({ local, remote, nexus }) => {
  const remotely = (...args: readonly string[]) =>
    callNexus(['hub', 'status', '--remote', nexus.gateway.url, ...args], {})
  const none = await runNexus(['hub', 'token', 'list'])
  expect(none.stderr).toMatch(/^Error: nothing says which hub: set DATABASE_URL .*--remote.*\n$/)
  const refused: readonly Ended[] = [
    none,
    await remotely(),
    await remotely('--admin-token', 'not-a-token'),
    await remotely('--admin-token', `sk-a_b_00000000_${'x'.repeat(43)}`),
    await local('token', 'create', '--name', 'x', '--zone', 'no-such-zone'),
    await local('token', 'create', '--name', 'x', '--zones-glob', 'nothing-*'),
    await remote('token', 'create', '--name', 'x', '--zone', 'no-such-zone'),
    await remote('token', 'revoke', 'nobody'),
    await local('token', 'create', '--name', 'x'.repeat(65), '--admin'),
  ]
  for (const { exitCode, stdout, stderr } of refused) {
    expect({ exitCode, stdout }, stderr).toEqual({ exitCode: 1, stdout: '' })
    expect(stderr).toMatch(/^Error: [^\n]+\n$/)
  }
})

test('an x holder manages its own zone from afar, and nothing else', async ({ local, nexus }) => {
  await local('zone', 'create', 'shop')
  const token = tokenOf(await local('token', 'create', '--name', 'keeper', '--zone', 'shop:rwx'))
  const env = { NEXUS_HUB_URL: nexus.gateway.url, NEXUS_HUB_ADMIN_TOKEN: token }
  const keeper: Hub = (...args) => callNexus(['hub', ...args], env)
  expect((await keeper('token', 'create', '--name', 'helper', '--zone', 'shop')).exitCode).toBe(0)
  expect((await listTokens(keeper)).map(({ name }) => name).toSorted()).toEqual(['helper', 'keeper'])
  expect((await keeper('token', 'create', '--name', 'wider', '--zone', 'root')).exitCode).toBe(1)
  expect((await keeper('token', 'create', '--name', 'wider', '--admin')).exitCode).toBe(1)
  expect((await keeper('token', 'revoke', 'administrator')).stderr).toBe(noToken('administrator'))
})

test('piped, a listing is lines of tabs without colours; whoever reads it may stop at any time', async ({
  local,
  nexus,
}) => {
  await local('token', 'create', '--name', 'piped', '--zone', 'root:r')
  const { stdout } = await local('token', 'list')
  const [columns, newest] = stdout.split('\n').map((line) => line.split('\t'))
  expect(columns).toEqual(['key_id', 'name', 'zone', 'zones', 'admin', 'created', 'last_used', 'revoked_at'])
  expect(newest?.slice(1, 5)).toEqual(['piped', 'root', 'root:r', 'no'])
  expect(stdout).not.toContain('\u001b')

  const reader = startNexus(['hub', 'token', 'list'], { env: nexus.localEnv })
  reader.child.stdout.destroy()
  expect(await reader.ended).toMatchObject({ exitCode: 0, stderr: '' })
})

test.runIf(hasTerminals)(
  'in a terminal a listing is a table with a bold head, and plain under NO_COLOR',
  async ({ local, nexus }) => {
    await local('token', 'create', '--name', 'shown', '--zone', 'root:r')
    const inTerminal = (env: Readonly<Record<string, string>>) =>
      runNexus(['hub', 'token', 'list'], { env: { ...nexus.localEnv, ...env }, terminal: true })
    const shown = await inTerminal({})
    expect(shown.stdout, shown.stderr).toMatch(/^\u001b\[1mkey_id +name +zone +zones +admin/)
    expect(shown.stdout).toMatch(/^[0-9a-f-]{36} {2}shown +root +root:r +no +/m)
    const plain = await inTerminal({ NO_COLOR: '1' })
    expect(plain.stdout).toMatch(/^key_id +name/)
    expect(plain.stdout).not.toContain('\u001b')
  },
)
