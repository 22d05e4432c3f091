import { httpUrl, readConfig, text } from '@nexus/config'
import { recordId } from '@nexus/contracts'
import { type ConnectionRequested, type NexusClient, createNexusClient, isNexusError } from '@nexus/sdk'
import type { Command } from 'commander'
import { z } from 'zod'
import { type Context, withExamples } from '../context.ts'
import { CliError, UsageError, describeError } from '../errors.ts'
import type { CliIo } from '../io.ts'
import { createPaint, printable, writeJson, writeLine } from '../output/text.ts'
import { parseDuration } from '../parse-duration.ts'
import { showWaiting } from './show-waiting.ts'

type ConnectOptions = {
  readonly user: string
  readonly zone?: string
  readonly scopes?: string
  readonly returnUrl?: string
  readonly open: boolean
  readonly timeout: string
  readonly url?: string
  readonly token?: string
  readonly json?: true
}

/** Milliseconds. Somebody sits before it: a Gateway that is not there is to be told of at once. */
const timeouts = { total: 10_000 }

const timeoutRange = {
  units: 'hms',
  minSeconds: 1,
  maxSeconds: 86_400,
  example: 'a time up to a day, as 10m, 90s or 1h',
}

/** `nexus connect PROVIDER --user U`. */
export function registerConnectCommand(program: Command, context: Context): void {
  const connect = program
    .command('connect')
    .summary("connect a person's account at a provider")
    .description(
      'Asks for a link by which a person connects an account, opens it, and waits until they have. Ends with 0 when the ' +
        'connection is active, with 1 when it did not become so.',
    )
    .argument('<provider>', 'the profile: its name, an alias or its id')
    .requiredOption('--user <user>', 'whose account it is, as your app knows the person')
    .option('--zone <zone>', 'the zone of the connection, where the token has several')
    .option('--scopes <list>', "some of the profile's scopes, apart by commas; without it all of them")
    .option('--return-url <url>', 'where the person goes afterwards')
    .option('--no-open', 'only print the link')
    .option('--timeout <time>', 'how long to wait: 90s, 10m, 1h', '10m')
    .option('--url <url>', 'the Gateway (NEXUS_URL)')
    .option('--token <token>', 'the agent token; better in NEXUS_TOKEN, which ps does not show')
    .option('--json', 'print the result as JSON, and everything else on stderr')
    .action(async (provider: string, options: ConnectOptions) => connectAccount(context, provider, options))
  withExamples(connect, [
    'nexus connect google --user user-42',
    'nexus connect github --user user-42 --zone eng --scopes repo,read:user',
    'NEXUS_URL=https://nexus.example.com NEXUS_TOKEN=sk-… nexus connect slack --user u1 --no-open --json',
  ])
}

async function connectAccount({ io, exitWith }: Context, provider: string, options: ConnectOptions): Promise<void> {
  const timeoutMs = parseDuration('--timeout', options.timeout, timeoutRange) * 1000
  const client = createClient(io, options)
  const scopes = splitScopes(options.scopes)
  const requested = await client.requestConnection(
    {
      ...(recordId.safeParse(provider).success ? { providerId: provider } : { providerName: provider }),
      userId: options.user,
      ...(scopes !== undefined && { scopes }),
      ...(options.returnUrl !== undefined && { returnUrl: options.returnUrl }),
      ...(options.zone !== undefined && { zone: options.zone }),
    },
    { signal: io.signal },
  )
  await showLink(io, requested, provider, options)
  const ending = await waitForEnding(io, client, requested, timeoutMs)
  report(io, { provider, user: options.user, requested, ending }, options.json === true)
  if (ending.status !== 'active') exitWith(1)
}

const settings = z.object({ NEXUS_URL: httpUrl().optional(), NEXUS_TOKEN: text().optional() })

function createClient({ env, fetch }: CliIo, options: ConnectOptions): NexusClient {
  const { NEXUS_URL, NEXUS_TOKEN } = readConfig(settings, env)
  const baseUrl = options.url ?? NEXUS_URL
  if (baseUrl === undefined) throw new CliError('nothing says where Nexus is: give --url URL or NEXUS_URL')
  try {
    return createNexusClient({ baseUrl, token: options.token ?? NEXUS_TOKEN, fetch, timeouts })
  } catch (error) {
    throw new UsageError(describeError(error))
  }
}

function splitScopes(list: string | undefined): readonly string[] | undefined {
  return list
    ?.split(',')
    .map((scope) => scope.trim())
    .filter((scope) => scope !== '')
}

async function showLink(
  io: CliIo,
  { authUrl, expiresAt }: ConnectionRequested,
  provider: string,
  options: ConnectOptions,
) {
  const out = options.json ? io.stderr : io.stdout
  const until = new Date(expiresAt).toISOString().slice(0, 16).replace('T', ' ')
  writeLine(out, `Open this link to connect ${printable(provider)} for ${printable(options.user)} (until ${until}Z):`)
  writeLine(out, `\n  ${printable(authUrl)}\n`)
  if (options.open && !(await io.openBrowser(authUrl))) {
    writeLine(io.stderr, 'No browser could be opened here: open it yourself.')
  }
}

const seenStatus = z.object({ status: z.string().catch('pending'), statusReason: z.string().nullable().catch(null) })

type Ending = { readonly status: string; readonly reason: string | null; readonly message: string | undefined }

/** Until the person is done, one way or the other. @throws NexusError of what has nothing to do with the person */
async function waitForEnding(
  io: CliIo,
  client: NexusClient,
  { connectionId }: ConnectionRequested,
  timeoutMs: number,
): Promise<Ending> {
  using _waiting = showWaiting(io.stderr)
  try {
    const { status, statusReason } = await client.waitForActive(connectionId, { timeoutMs, signal: io.signal })
    return { status, reason: statusReason, message: undefined }
  } catch (error) {
    if (!isNexusError(error, 'connection_failed', 'connection_expired', 'connection_revoked', 'timeout')) throw error
    const { status, statusReason } = seenStatus.parse(error.details ?? {})
    return { status, reason: statusReason, message: error.message }
  }
}

type Result = {
  readonly provider: string
  readonly user: string
  readonly requested: ConnectionRequested
  readonly ending: Ending
}

function report(io: CliIo, { provider, user, requested, ending }: Result, asJson: boolean): void {
  const { connectionId, providerId, authUrl, expiresAt, scopes } = requested
  if (asJson) {
    writeJson(io.stdout, {
      connection_id: connectionId,
      provider_id: providerId,
      user,
      status: ending.status,
      status_reason: ending.reason,
      scopes,
      auth_url: authUrl,
      expires_at: expiresAt,
    })
    return
  }
  const paint = createPaint(io.stdout, io.env)
  if (ending.status === 'active') {
    writeLine(
      io.stdout,
      `${paint('green', 'connected')}: ${printable(provider)} for ${printable(user)}, connection ${connectionId}`,
    )
    return
  }
  const why = ending.message === undefined ? ending.status : printable(ending.message)
  writeLine(io.stderr, `${createPaint(io.stderr, io.env)('red', 'Error:')} ${why} (connection ${connectionId})`)
}
