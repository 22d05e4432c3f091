import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { ProviderProfile } from '@nexus/contracts'
import { freePort } from '@nexus/testing'
import { expect, onTestFinished, vi } from 'vitest'
import { type Installation, test } from './installation.ts'
import { callNexus, hasTerminals, runNexus, startNexus } from './nexus-process.ts'

// a command is a process of its own, which takes a second on a busy machine
vi.setConfig({ testTimeout: 120_000 })

const secret = 'canary-secret-of-hubspot'

const file = `
providers:
  - name: hubspot
    display_name: HubSpot
    client_id: \${HUBSPOT_CLIENT_ID}
    client_secret: \${HUBSPOT_CLIENT_SECRET}
    auth_url: http://127.0.0.1:9/authorize
    token_url: http://127.0.0.1:9/token
    scopes: [crm.read, crm.write]
    params:
      prompt: consent
  - name: stripe
    auth_type: api_key
    api_base_url: http://127.0.0.1:9
    params:
      value_prefix: "Bearer "
`

const variables = { HUBSPOT_CLIENT_ID: 'hub-client', HUBSPOT_CLIENT_SECRET: secret }

/** A folder with this file, a Broker without any profile, and the environment to reach it by. */
async function openScene(nexus: Installation, text = file) {
  const { body: profiles } = await nexus.call<{ id: string }[]>('GET', '/providers')
  for (const { id } of profiles) await nexus.call('DELETE', `/providers/${id}`)
  const folder = await mkdtemp(join(tmpdir(), 'nexus-cli-'))
  onTestFinished(() => rm(folder, { recursive: true }))
  const write = (content: string) => writeFile(join(folder, 'nexus-providers.yaml'), content)
  await write(text)
  const options = { cwd: folder, env: { ...nexus.operatorEnv, ...variables } }
  return {
    folder,
    write,
    options,
    run: (...args: readonly string[]) => callNexus(['providers', ...args], { ...options.env, INIT_CWD: folder }),
    read: async (name: string) => (await nexus.call<ProviderProfile>('GET', `/providers/by-name/${name}`)).body,
  }
}

test('a file is planned, applied, and then there is nothing left to do', async ({ nexus }) => {
  const { run, read } = await openScene(nexus)
  const planned = await run('plan', '--detailed-exitcode')
  expect(planned).toMatchObject({ exitCode: 2, stderr: '' })
  expect(planned.stdout).toMatch(/^\+ hubspot$/m)
  expect(planned.stdout).toMatch(/^ {4}\+ client_id: "hub-client"$/m)
  expect(planned.stdout).toMatch(/^ {4}\+ client_secret: \(secret\)$/m)
  expect(planned.stdout).toMatch(/^Plan: 2 to add, 0 to change, 0 to remove, 0 unchanged\.$/m)
  expect((await run('plan')).exitCode, 'without --detailed-exitcode').toBe(0)

  const applied = await run('apply', '--yes')
  expect(applied).toMatchObject({ exitCode: 0, stderr: '' })
  expect(applied.stdout).toMatch(/^added hubspot; register this redirect URI at the provider: http:.*\/callback/m)
  expect(applied.stdout).toMatch(/^added stripe$/m)
  expect(await read('hubspot')).toMatchObject({ client_id: 'hub-client', has_client_secret: true, revision: 1 })
  expect(await read('stripe')).toMatchObject({ strategy: { config: { value_prefix: 'Bearer ' } } })

  const again = await run('plan', '--detailed-exitcode')
  expect(again).toEqual({ exitCode: 0, stdout: 'No changes: 2 profiles are as the file says.\n', stderr: '' })
  expect(await run('apply', '--yes')).toEqual(again)
  expect((await read('hubspot')).revision, 'nothing was saved again').toBe(1)
  expect(JSON.stringify([planned, applied, again])).not.toContain(secret)
})

test('what differs is shown field by field, also a secret that nobody can read, and only that is changed', async ({
  nexus,
}) => {
  const { run, read, write, options } = await openScene(nexus)
  await run('apply', '--yes')
  const changed = file
    .replace('display_name: HubSpot', 'description: CRM')
    .replace('[crm.read, crm.write]', '[crm.read]')
    .replace('prompt: consent', 'prompt: login')
  await write(changed)
  const env = { ...options.env, HUBSPOT_CLIENT_ID: 'another-client', HUBSPOT_CLIENT_SECRET: `${secret}-2` }
  const { stdout } = await runNexus(['providers', 'plan'], { ...options, env })
  expect(stdout.split('\n').map((line) => line.trim())).toEqual([
    '~ hubspot',
    '~ display_name: "HubSpot" → "hubspot"',
    '+ description: "CRM"',
    '! client_id: "hub-client" → "another-client"',
    '~ scopes: ["crm.read","crm.write"] → ["crm.read"]',
    '~ params.prompt: "consent" → "login"',
    '~ client_secret: (stored secret) → (another secret)',
    '',
    'Plan: 0 to add, 1 to change, 0 to remove, 1 unchanged.',
    '',
  ])
  expect((await runNexus(['providers', 'apply', '--yes'], { ...options, env })).exitCode).toBe(0)
  expect(await read('hubspot')).toMatchObject({ client_id: 'another-client', scopes: ['crm.read'], revision: 2 })
  expect((await runNexus(['providers', 'plan', '--detailed-exitcode'], { ...options, env })).exitCode).toBe(0)
  const back = await run('plan', '--json')
  expect(JSON.parse(back.stdout)).toMatchObject({
    changes: [
      {
        action: 'update',
        name: 'hubspot',
        fields: expect.arrayContaining([
          { sign: '~', field: 'client_secret', before: '(stored secret)', after: '(another secret)' },
        ]) as unknown,
      },
    ],
    summary: { add: 0, change: 1, remove: 0, unchanged: 1 },
  })
})

test('a zone that does not exist is named, also where nothing differs, and the profile is saved', async ({ nexus }) => {
  const zoned = file.replace('  - name: stripe', '  - name: stripe\n    zones: [root, salse]')
  const { run, read } = await openScene(nexus, zoned)
  const warning = 'stripe names the zone salse, which does not exist: nobody sees it there.'
  expect((await run('plan')).stdout.split('\n')).toContain(warning)
  expect((await run('apply', '--yes')).exitCode).toBe(0)
  expect((await read('stripe')).zones).toEqual(['root', 'salse'])
  const again = await run('plan', '--detailed-exitcode')
  expect(again).toMatchObject({
    exitCode: 0,
    stdout: `${warning}\nNo changes: 2 profiles are as the file says.\n`,
  })
  expect(JSON.parse((await run('plan', '--json')).stdout)).toMatchObject({
    missing_zones: [{ profile: 'stripe', zone: 'salse' }],
  })
})

test('--prune removes what is not in the file, and nothing else does', async ({ nexus }) => {
  const { run, read, write } = await openScene(nexus)
  await run('apply', '--yes')
  await write(file.slice(0, file.indexOf('  - name: stripe')))
  const kept = await run('apply', '--yes')
  expect(kept.stdout).toBe(
    'Not in the file, left alone (--prune removes them): stripe\nNo changes: 1 profiles are as the file says.\n',
  )
  const planned = await run('plan', '--prune')
  expect(planned.stdout).toMatch(/^! stripe: removed; its connections keep working$/m)
  expect((await read('stripe')).name).toBe('stripe')
  const pruned = await run('apply', '--prune', '--yes')
  expect(pruned).toMatchObject({ exitCode: 0, stdout: expect.stringMatching(/^removed stripe$/m) as string })
  expect(await read('stripe')).toMatchObject({ code: 'provider_not_found' })
})

test('without a terminal nobody can be asked: apply changes nothing unless it is told --yes', async ({ nexus }) => {
  const { run, read } = await openScene(nexus)
  const refused = await run('apply')
  expect(refused.exitCode).toBe(1)
  expect(refused.stderr).toMatch(/^Error: nobody can be asked here.*--yes/)
  expect(await read('hubspot')).toMatchObject({ code: 'provider_not_found' })
})

test.runIf(hasTerminals)('in a terminal it asks, and takes nothing but yes for a yes', async ({ nexus }) => {
  const { options, read } = await openScene(nexus)
  for (const [answer, exitCode, said] of [
    ['y', 1, /nothing was changed/],
    ['', 1, /nothing was changed/],
    // in colours, since this is a terminal
    ['yes', 0, /\u001b\[32madded\u001b\[39m hubspot/],
  ] as const) {
    expect((await read('hubspot')).name, `before ${answer}`).toBeUndefined()
    const applying = startNexus(['providers', 'apply'], { ...options, terminal: true })
    await applying.waitFor(/Only yes is a yes: /)
    applying.type(`${answer}\n`)
    const { exitCode: ended, stdout } = await applying.ended
    expect(ended, stdout).toBe(exitCode)
    expect(stdout).toMatch(said)
  }
  expect((await read('hubspot')).name).toBe('hubspot')
})

test.runIf(hasTerminals)('Ctrl-C at the question changes nothing and ends with 130', async ({ nexus }) => {
  const { options, read } = await openScene(nexus)
  const applying = startNexus(['providers', 'apply'], { ...options, terminal: true })
  await applying.waitFor(/Only yes is a yes: /)
  applying.type('\u0003')
  const { exitCode, stdout } = await applying.ended
  expect(exitCode, stdout).toBe(130)
  expect(stdout).toMatch(/interrupted\r?\n$/)
  expect(await read('hubspot')).toMatchObject({ code: 'provider_not_found' })
})

test.runIf(hasTerminals)(
  'a profile that somebody changes while the question stands is not overwritten',
  async ({ nexus }) => {
    const { options, run, read, write } = await openScene(nexus)
    await run('apply', '--yes')
    await write(file.replace('HubSpot', 'Hub Spot'))
    const applying = startNexus(['providers', 'apply'], { ...options, terminal: true })
    await applying.waitFor(/Only yes is a yes: /)
    const { id } = await read('hubspot')
    await nexus.call('PATCH', `/providers/${id}`, { category: 'crm' })
    applying.type('yes\n')
    const { exitCode, stdout } = await applying.ended
    expect(exitCode, stdout).toBe(1)
    expect(stdout).toMatch(
      /hubspot: The profile was changed meanwhile.*1 of 1 changes were not made\. Make a new plan\./,
    )
    expect(await read('hubspot')).toMatchObject({ display_name: 'HubSpot', category: 'crm', revision: 2 })
  },
)

test('an export is a file that means the same, without any secret', async ({ nexus }) => {
  const { run, folder, options } = await openScene(nexus)
  await run('apply', '--yes')
  await nexus.call('POST', '/providers', { name: '3scale', auth_type: 'basic_auth', description: 'costs ${NOTHING}' })
  await nexus.call('POST', '/providers', {
    name: 'custom',
    auth_type: 'header',
    params: {
      header_name: 'X-Key',
      credential_schema: { type: 'object', properties: { api_key: { type: 'string' } }, required: ['api_key'] },
    },
  })
  const exported = await run('export')
  expect(exported).toMatchObject({ exitCode: 0, stderr: '' })
  expect(exported.stdout).toContain('client_secret: ${HUBSPOT_CLIENT_SECRET}\n')
  expect(exported.stdout).toContain('description: costs $${NOTHING}\n')
  expect(exported.stdout).not.toContain(secret)
  expect(exported.stdout, 'defaults are left out').not.toMatch(/scope_separator|pkce|revocation|skip_scope/)
  expect(exported.stdout.match(/credential_schema/g), 'where it is of the profile').toHaveLength(1)

  await writeFile(join(folder, 'other.yaml'), exported.stdout)
  const planned = await run('plan', '--file', 'other.yaml', '--prune', '--detailed-exitcode')
  expect(planned).toEqual({ exitCode: 0, stdout: 'No changes: 4 profiles are as the file says.\n', stderr: '' })

  const kept = await run('export', '--file', 'nexus-providers.yaml')
  expect(kept).toMatchObject({ exitCode: 1, stderr: expect.stringContaining('is there already: --yes') as string })
  expect(await readFile(join(folder, 'nexus-providers.yaml'), 'utf8')).toBe(file)
  expect((await runNexus(['providers', 'export', '--file', 'nexus-providers.yaml', '--yes'], options)).exitCode).toBe(0)
  expect(await readFile(join(folder, 'nexus-providers.yaml'), 'utf8')).toBe(exported.stdout)
})

test('what the Broker would refuse is refused by the plan, all of it and with its place', async ({ nexus }) => {
  const text = `${file}  - name: half\n    client_id: x\n  - name: wrong\n    auth_type: api_key\n    client_id: x\n    scopes: [a]\n`
  const { run, read } = await openScene(nexus, text)
  const { exitCode, stderr, stdout } = await run('apply', '--yes')
  expect({ exitCode, stdout }).toEqual({ exitCode: 1, stdout: '' })
  expect(stderr).toMatch(/^Error: nexus-providers\.yaml:17:5: half: .*auth_url/)
  expect(stderr).toMatch(/^ +nexus-providers\.yaml:19:5: wrong: /m)
  expect(await read('hubspot'), 'nothing of it was applied').toMatchObject({ code: 'provider_not_found' })
})

test('a variable that is missing is named with its place', async ({ nexus }) => {
  const { options } = await openScene(nexus)
  const env = { ...nexus.operatorEnv, HUBSPOT_CLIENT_ID: 'hub-client' }
  const { exitCode, stderr } = await runNexus(['providers', 'plan'], { ...options, env })
  expect({ exitCode, stderr }).toEqual({
    exitCode: 1,
    stderr: 'Error: nexus-providers.yaml:6:20: the variable HUBSPOT_CLIENT_SECRET is not set\n',
  })
})

test('a file is looked for where npm was called, and what is not configured is told line by line', async ({
  nexus,
}) => {
  const { folder, options } = await openScene(nexus)
  const args = ['providers', 'plan', '--file', 'elsewhere.yaml']
  await mkdir(join(folder, 'called-from'))
  await writeFile(join(folder, 'called-from/elsewhere.yaml'), 'providers: []\n')
  const env = { ...options.env, INIT_CWD: join(folder, 'called-from') }
  expect(await runNexus(args, { ...options, env })).toMatchObject({ exitCode: 0 })
  expect(await runNexus(args, options)).toMatchObject({ exitCode: 1 })
  const { stderr } = await runNexus(['providers', 'plan'], { cwd: folder })
  expect(stderr.split('\n').slice(1)).toEqual(['  BROKER_BASE_URL: is required', '  ADMIN_API_KEY: is required', ''])
})

test('the key may lie in a file, a wrong one is refused, and a Broker that is away is named', async ({ nexus }) => {
  const { folder, options } = await openScene(nexus)
  await writeFile(join(folder, 'key'), `${nexus.operatorEnv.ADMIN_API_KEY}\n`)
  const env = { ...variables, BROKER_BASE_URL: nexus.broker.url }
  const byFile = await runNexus(['providers', 'plan'], {
    ...options,
    env: { ...env, ADMIN_API_KEY_FILE: join(folder, 'key') },
  })
  expect(byFile.exitCode, byFile.stderr).toBe(0)
  const wrong = await runNexus(['providers', 'plan'], { ...options, env: { ...env, ADMIN_API_KEY: 'x'.repeat(32) } })
  expect(wrong).toMatchObject({ exitCode: 1, stderr: 'Error: The API key is not valid.\n' })
  const nobody = `127.0.0.1:${await freePort()}`
  const away = { ...options.env, BROKER_BASE_URL: `http://${nobody}` }
  const unreachable = await runNexus(['providers', 'plan'], { ...options, env: away })
  expect(unreachable).toMatchObject({
    exitCode: 1,
    stderr: `Error: the Broker at ${nobody} cannot be reached (ECONNREFUSED)\n`,
  })
})
