// What a developer gets who installs @nexus/sdk: the package is packed as it is published, and used as JavaScript.
import { execFile } from 'node:child_process'
import { cpSync, existsSync, globSync, mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { type Credential, startApiServer } from '@nexus/testing'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { CredentialFields, Strategy } from '../src/apply-strategy.ts'

const root = fileURLToPath(new URL('../../../', import.meta.url))
const sdk = fileURLToPath(new URL('../', import.meta.url))
const folder = mkdtempSync(join(tmpdir(), 'nexus-sdk-'))
const consumer = join(folder, 'consumer')

const execute = promisify(execFile)

/** @throws Error with what the command said */
async function run(command: string, args: readonly string[], cwd: string, env = process.env): Promise<string> {
  const { stdout } = await execute(command, args, { cwd, env, timeout: 60_000 })
  return stdout
}

/** Whichever toolchain was fetched here: each has the same pnpm. */
const [pnpm = ''] = globSync('.nexus/toolchain-*/node_modules/pnpm/bin/pnpm.mjs', { cwd: root })

/** This Node, and any other that is installed and not too old: the package promises 20. */
async function findNodes(): Promise<readonly string[]> {
  const candidates = (process.env['PATH'] ?? '').split(delimiter).map((place) => join(place, 'node'))
  const nodes = new Map([[process.version, process.execPath]])
  for (const path of candidates.filter((candidate) => existsSync(candidate)).map((found) => realpathSync(found))) {
    const version = (await run(path, ['--version'], folder)).trim()
    if (Number(/^v(\d+)/.exec(version)?.[1]) >= 20 && !nodes.has(version)) nodes.set(version, path)
  }
  return [...nodes.values()]
}

beforeAll(async () => {
  expect(pnpm, 'pnpm of the toolchain').not.toBe('')
  await run(process.execPath, [join(root, pnpm), 'pack', '--pack-destination', folder], sdk)
  mkdirSync(consumer)
  writeFileSync(join(consumer, 'package.json'), '{"private": true, "type": "module"}')
  // its one dependency comes from a file as well, so that no registry is asked
  cpSync(realpathSync(join(sdk, 'node_modules', 'aws4fetch')), join(folder, 'package'), { recursive: true })
  await run('tar', ['-czf', 'aws4fetch.tgz', 'package'], folder)
  const archives = globSync('*.tgz', { cwd: folder }).map((name) => join(folder, name))
  await run('npm', ['install', '--offline', '--no-audit', '--no-fund', ...archives], consumer)
}, 120_000)

afterAll(() => {
  rmSync(folder, { recursive: true, force: true })
  rmSync(join(sdk, 'dist'), { recursive: true, force: true })
})

test('it holds what runs and its types, a README and the license, and depends on aws4fetch alone', () => {
  const installed = join(consumer, 'node_modules')
  const files = globSync('**', { cwd: join(installed, '@nexus/sdk'), exclude: ['dist/*.js', 'dist/*.d.ts'] })
  expect(files.filter((file) => file !== '.').toSorted()).toEqual(['LICENSE', 'README.md', 'dist', 'package.json'])
  expect(globSync('{*,@*/*}/package.json', { cwd: installed }).toSorted()).toEqual([
    '@nexus/sdk/package.json',
    'aws4fetch/package.json',
  ])
})

test('npm, which would pack something that cannot be installed, is refused', async () => {
  const packing = run('npm', ['pack', '--dry-run'], sdk)
  await expect(packing).rejects.toThrow('is packed and published with pnpm')
})

test('its types are those of the source', async () => {
  writeFileSync(
    join(consumer, 'typed.ts'),
    `
    import { createNexusClient, isNexusError, type Credential } from '@nexus/sdk'
    import { applyStrategy } from '@nexus/sdk/apply-strategy'
    const nexus = createNexusClient({ baseUrl: 'https://nexus.example.com' })
    const credential: Credential = await nexus.getToken('id')
    if (credential.accessToken !== undefined) credential.credentials.access_token satisfies string
    await applyStrategy(new Request('https://a.example'), credential.strategy, { ...credential.credentials })
    await nexus.requestConnection({ userId: 'u', providerName: 'acme' })
    try { await nexus.refresh('id') } catch (error) {
      if (isNexusError(error, 'attention_required')) error.code satisfies 'attention_required'
    }
    // @ts-expect-error a provider must be named
    await nexus.requestConnection({ userId: 'u' })
    // @ts-expect-error by its name or by its id
    await nexus.requestConnection({ userId: 'u', providerName: 'acme', providerId: 'id' })
    `,
  )
  const compiler = join(root, 'node_modules/typescript/bin/tsc')
  const types = ['--types', 'node', '--typeRoots', join(root, 'node_modules/@types')]
  const options = ['--noEmit', '--strict', '--target', 'es2023', '--skipLibCheck', 'false', ...types]
  for (const resolution of [
    ['--module', 'nodenext'],
    ['--module', 'esnext', '--moduleResolution', 'bundler'],
  ]) {
    expect(await run(process.execPath, [compiler, ...options, ...resolution, 'typed.ts'], consumer)).toBe('')
  }
})

const applied: readonly (readonly [Credential, Strategy, CredentialFields])[] = [
  [{ kind: 'header', name: 'authorization', value: 'Bearer t' }, { type: 'oauth2' }, { access_token: 't' }],
  [{ kind: 'header', name: 'authorization', value: 'k' }, { type: 'header' }, { api_key: 'k' }],
  [{ kind: 'header', name: 'x-k', value: 'k' }, { type: 'api_key', config: { header_name: 'X-K' } }, { api_key: 'k' }],
  [
    { kind: 'query', name: 'k', value: 'a b' },
    { type: 'query_param', config: { param_name: 'k' } },
    { api_key: 'a b' },
  ],
  [{ kind: 'basic', username: 'ü', password: 'p' }, { type: 'basic_auth' }, { username: 'ü', password: 'p' }],
  [
    { kind: 'hmac', header: 'x-s', secret: 's' },
    { type: 'hmac_payload', config: { header_name: 'X-S' } },
    { secret: 's' },
  ],
  [
    { kind: 'aws', accessKey: 'a', secretKey: 's', service: 's3', region: 'eu-west-1' },
    { type: 'aws_sigv4', config: { service: 's3', region: 'eu-west-1' } },
    { access_key: 'a', secret_key: 's' },
  ],
]

test('it applies every strategy in plain Node, in each version that is installed here', async () => {
  await using apis = new AsyncDisposableStack()
  const cases = await Promise.all(
    applied.map(async ([credential, strategy, fields]) => {
      const { url } = apis.use(await startApiServer(credential))
      return { url: `${url}/path?x=1`, strategy, fields }
    }),
  )
  writeFileSync(
    join(consumer, 'program.js'),
    `
    import { createNexusClient } from '@nexus/sdk'
    import { applyStrategy } from '@nexus/sdk/apply-strategy'
    createNexusClient({ baseUrl: 'https://nexus.example.com', token: 't' })
    for (const { url, strategy, fields } of ${JSON.stringify(cases)}) {
      const request = new Request(url, { method: 'POST', body: 'böd' })
      const answer = await fetch(await applyStrategy(request, strategy, fields))
      console.log(strategy.type, answer.status, (await answer.json()).body)
    }
    `,
  )
  const expected = applied.map(([, { type }]) => `${type} 200 böd\n`).join('')
  for (const node of await findNodes()) {
    expect(await run(node, ['program.js'], consumer, { PATH: process.env['PATH'] }), node).toBe(expected)
  }
})
