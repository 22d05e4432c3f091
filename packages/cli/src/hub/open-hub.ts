import { httpUrl, readConfig, text } from '@nexus/config'
import { type Hub, agentTokenPattern } from '@nexus/contracts'
import { z } from 'zod'
import { CliError, UsageError } from '../errors.ts'
import type { CliIo, CliServices, Environment } from '../io.ts'
import { createJsonApi } from '../json-api.ts'
import { createRemoteHub } from './remote-hub.ts'

export type HubOptions = {
  /** A Gateway. */
  readonly remote?: string | undefined
  readonly adminToken?: string | undefined
}

export type OpenedHub = AsyncDisposable & {
  readonly hub: Hub
  /** Where agents reach it, as far as that is known here. */
  readonly endpoint: string
  readonly profile: 'local' | 'remote'
}

const remoteSettings = z.object({ NEXUS_HUB_URL: httpUrl().optional(), NEXUS_HUB_ADMIN_TOKEN: text().optional() })

/**
 * The hub that the options or the environment name: a Gateway's where `--remote` says so, the Broker's own use cases where
 * there is a database, else the Gateway of `NEXUS_HUB_URL`.
 * @throws CliError where neither is configured; UsageError; ConfigError
 */
export async function openHub(io: CliIo, services: CliServices, options: HubOptions): Promise<OpenedHub> {
  if (options.remote === undefined && isSet(io.env, 'DATABASE_URL')) return openLocal(io, services)
  const settings = readConfig(remoteSettings, io.env)
  const url = options.remote === undefined ? settings.NEXUS_HUB_URL : readUrl(options.remote)
  if (url === undefined) {
    throw new CliError(
      'nothing says which hub: set DATABASE_URL (as the Broker has it), or name a Gateway with --remote URL and ' +
        '--admin-token sk-… (NEXUS_HUB_URL, NEXUS_HUB_ADMIN_TOKEN)',
    )
  }
  return openRemote(io, url, options.adminToken ?? settings.NEXUS_HUB_ADMIN_TOKEN)
}

async function openLocal(io: CliIo, { openLocalHub }: CliServices): Promise<OpenedHub> {
  const hub = await openLocalHub(io.env)
  return {
    hub,
    endpoint: io.env['BASE_URL'] ?? 'local',
    profile: 'local',
    [Symbol.asyncDispose]: () => hub[Symbol.asyncDispose](),
  }
}

function openRemote({ fetch, signal }: CliIo, baseUrl: string, token: string | undefined): OpenedHub {
  if (token === undefined) {
    throw new CliError('a Gateway asks for an agent token: give --admin-token sk-… or NEXUS_HUB_ADMIN_TOKEN')
  }
  const headers = { authorization: `Bearer ${readToken(token)}` }
  const api = createJsonApi({ baseUrl, name: 'the Gateway', headers, fetch, signal })
  return {
    hub: createRemoteHub(api),
    endpoint: baseUrl,
    profile: 'remote',
    [Symbol.asyncDispose]: async () => undefined,
  }
}

/** As it was pasted: with blanks around it, or with its scheme. A key that is something else goes nowhere. */
function readToken(pasted: string): string {
  const token = pasted.trim().replace(/^Bearer\s+/i, '')
  if (agentTokenPattern.test(token)) return token
  throw new CliError(
    token.startsWith('sk-')
      ? 'the admin token was not copied as a whole: it ends with 43 characters behind the last _'
      : 'the admin token is no agent token: these begin with sk-',
  )
}

function readUrl(given: string): string {
  const url = httpUrl().safeParse(given)
  if (!url.success)
    throw new UsageError('--remote must be a URL such as https://nexus.example.com, without user name and query')
  // what people copy from a browser
  return url.data.replace(/\/v1(\/hub)?$/, '')
}

function isSet(env: Environment, name: string): boolean {
  return [name, `${name}_FILE`].some((one) => (env[one] ?? '') !== '')
}
