import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type ComposeFile, type Variables, interpolate, listVariables, readDotEnv } from './compose-file.ts'

/**
 * What docker-compose.yml must keep to: nothing published but the Gateway on loopback, no way from outside to what
 * holds data, few rights for everyone, and no start while a secret is missing.
 *
 * @returns one sentence per fault
 */
export function findComposeFaults(compose: ComposeFile, repository: string): readonly string[] {
  const example = readDotEnv(join(repository, '.env.example'))
  return [
    ...findExposure(compose),
    ...findOpenNetworks(compose),
    ...findExcessRights(compose),
    ...findVariableFaults(compose, example),
    ...findTrustFaults(compose),
  ].map((fault) => `docker-compose.yml: ${fault}`)
}

function findExposure({ services }: ComposeFile): readonly string[] {
  const published = Object.entries(services).flatMap(([name, { ports = [] }]) => ports.map((port) => ({ name, port })))
  const faults = published
    .filter(({ name, port }) => name !== 'gateway' || !port.startsWith('127.0.0.1:'))
    .map(({ name, port }) => `${name} publishes ${port}`)
  return published.length === 0 ? ['nothing is published'] : faults
}

function findOpenNetworks({ services, networks }: ComposeFile): readonly string[] {
  const isInternal = (network: string): boolean => networks[network]?.internal === true
  const kept = ['postgres', 'redis', 'migrate', 'curl', 'nexus'].flatMap((name) =>
    networksOf(services, name)
      .filter((network) => !isInternal(network))
      .map((network) => `${name} is on ${network}, which leads outside`),
  )
  const shared = networksOf(services, 'gateway').filter((network) => networksOf(services, 'postgres').includes(network))
  const met = networksOf(services, 'gateway').filter((network) => networksOf(services, 'broker').includes(network))
  return [
    ...kept,
    ...shared.map((network) => `the Gateway meets PostgreSQL on ${network}`),
    ...met.filter((network) => !isInternal(network)).map((network) => `Gateway and Broker meet on ${network}`),
    ...(networksOf(services, 'broker').every(isInternal) ? ['the Broker cannot reach identity providers'] : []),
  ]
}

function networksOf(services: ComposeFile['services'], name: string): readonly string[] {
  const networks = services[name]?.networks
  if (networks === undefined) throw new Error(`docker-compose.yml: ${name} is missing or names no network`)
  return networks
}

function findExcessRights({ services }: ComposeFile): readonly string[] {
  return Object.entries(services).flatMap(([name, service]) => [
    ...(service.read_only === true ? [] : [`${name} may write to its file system`]),
    ...(service.cap_drop?.includes('ALL') === true ? [] : [`${name} keeps capabilities`]),
    ...(service.security_opt?.includes('no-new-privileges:true') === true ? [] : [`${name} may gain privileges`]),
    ...(service.mem_limit === undefined ? [`${name} has no limit of memory`] : []),
    ...(service.pids_limit === undefined ? [`${name} has no limit of processes`] : []),
  ])
}

function findVariableFaults(compose: ComposeFile, example: Variables): readonly string[] {
  const used = listVariables(compose)
  const names = new Set(used.map(({ name }) => name))
  const offered = new Set(Object.keys(example))
  const required = used.filter(({ isRequired }) => isRequired)
  const secrets = ['POSTGRES_PASSWORD', 'ENCRYPTION_KEY', 'STATE_KEY', 'API_KEY', 'ADMIN_API_KEY']
  return [
    ...[...names.difference(offered)].map((name) => `${name} is not in .env.example`),
    ...[...offered.difference(names)].map((name) => `${name} is in .env.example, and nothing uses it`),
    ...Object.keys(example)
      .filter((name) => example[name] !== '')
      .map((name) => `.env.example gives ${name} a value`),
    ...secrets
      .filter((name) => !required.some((one) => one.name === name))
      .map((name) => `starts without ${name}; write \${${name}:?…}`),
    ...required
      .filter(({ name }) => !refusesWithout(compose, { ...sampleValues(required), [name]: '' }))
      .map(({ name }) => `starts while ${name} is empty`),
    ...(refusesWithout(compose, sampleValues(required)) ? ['refuses to start when all is filled in'] : []),
  ]
}

function sampleValues(required: readonly { readonly name: string }[]): Variables {
  return Object.fromEntries(required.map(({ name }): [string, string] => [name, 'filled-in']))
}

function refusesWithout(compose: ComposeFile, values: Variables): boolean {
  try {
    interpolate(JSON.stringify(compose), values)
    return false
  } catch {
    return true
  }
}

/** The Broker answers its own Gateways alone, and believes what they say of the client's address; agents show tokens. */
function findTrustFaults(compose: ComposeFile): readonly string[] {
  const subnet = compose.networks['inner']?.ipam?.config[0]?.subnet
  if (subnet === undefined) return ['the network inner has no fixed subnet']
  const broker = compose.services['broker']?.environment ?? {}
  return [
    ...['ALLOWED_CIDRS', 'TRUSTED_PROXIES']
      .filter((name) => broker[name] !== subnet)
      .map((name) => `the Broker's ${name} is not the subnet of inner`),
    ...['broker', 'gateway']
      .filter((name) => compose.services[name]?.environment?.['REQUIRE_BEARER'] !== 'true')
      .map((name) => `${name} asks for no agent tokens`),
  ]
}

/**
 * The word of the real thing, where there is one: Compose accepts the file with every value filled in, and refuses it
 * with .env.example as it is.
 *
 * @returns undefined where no client of Compose is installed
 */
export function findClientFaults(repository: string, values: Variables): readonly string[] | undefined {
  const client = [['docker', 'compose'], ['docker-compose']].find(
    ([program = '', ...args]) => spawnSync(program, [...args, 'version'], { stdio: 'ignore' }).status === 0,
  )
  if (client === undefined) return undefined
  const folder = mkdtempSync(join(tmpdir(), 'nexus-compose-'))
  const file = join(folder, 'filled.env')
  writeFileSync(
    file,
    Object.entries(values)
      .map(([name, value]) => `${name}=${value}\n`)
      .join(''),
    { mode: 0o600 },
  )
  const ask = (envFile: string) => {
    const [program = '', ...args] = client
    const options = ['--project-directory', repository, '--env-file', envFile, '--profile', '*', 'config', '-q']
    // without the variables of this shell, which Compose would prefer to the file
    const env = { PATH: process.env['PATH'], HOME: process.env['HOME'] }
    return spawnSync(program, [...args, ...options], { env, encoding: 'utf8' })
  }
  try {
    const filled = ask(file)
    const empty = ask(join(repository, '.env.example'))
    return [
      ...(filled.status === 0 ? [] : [`docker compose config refuses the file: ${filled.stderr.trim()}`]),
      ...(empty.status === 0 ? ['docker compose config accepts empty secrets'] : []),
      ...(empty.stderr.includes('required variable') ? [] : ['docker compose config does not say what is missing']),
    ]
  } finally {
    rmSync(folder, { recursive: true })
  }
}
