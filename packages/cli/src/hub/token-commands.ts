import type { Hub } from '@nexus/contracts'
import { type Command, Option } from 'commander'
import { type Context, withExamples } from '../context.ts'
import { CliError, UsageError } from '../errors.ts'
import { printable, writeJson, writeLine } from '../output/text.ts'
import { writeTable } from '../output/table.ts'
import { toListedToken, toTokenRow, tokenColumns } from './describe-token.ts'
import { findToken } from './find-token.ts'
import { listEvery } from './list-every.ts'
import { listZoneNames } from './list-zones.ts'
import { parseExpiry } from './parse-expiry.ts'
import { type Grant, matchZones, parseGrant, parseGrants } from './parse-grants.ts'
import { withHub } from './with-hub.ts'

type CreateOptions = {
  readonly name: string
  readonly zones?: string
  readonly zone?: string
  readonly zonesGlob?: string
  readonly admin?: true
  readonly expires?: string
  readonly owner?: string
  readonly userId?: string
  readonly json?: true
}

/** `nexus hub token create|list|revoke`. */
export function registerTokenCommands(token: Command, context: Context): void {
  registerCreate(token, context)
  registerList(token, context)
  registerRevoke(token, context)
}

function registerCreate(token: Command, context: Context): void {
  const create = token
    .command('create')
    .description(
      'Makes a token and prints it, once. An administrator needs no zone; every other token names some. Where there is ' +
        'no zone but root yet, those that are named are made.',
    )
    .requiredOption('--name <name>', 'what it is called: once among the living tokens of its first zone')
    .option('--zones <list>', 'zones with what it may do there, as eng:rw,ops:r; without permissions rw')
    .addOption(
      new Option('--zone <zone>', 'one zone, as eng or eng:rwx')
        .argParser(readOneZone)
        .conflicts(['zones', 'zonesGlob']),
    )
    .addOption(
      new Option('--zones-glob <pattern>', "the zones there are that match, with rw: 'team-*'").conflicts('zones'),
    )
    .option('--admin', 'sees across zones and makes tokens for any: for operators')
    .option('--expires <time>', 'when it ends by itself: 90d, 24h, 30m; without it never')
    .option('--owner <owner>', 'the person or system it acts for (the name)')
    .addOption(new Option('--user-id <owner>', 'the same as --owner').conflicts('owner').hideHelp())
    .option('--json', 'print it as JSON')
    .action(async (options: CreateOptions, command: Command) => {
      await withHub(context, command, ({ hub }) => createToken(context, hub, options))
    })
  withExamples(create, [
    'nexus hub token create --name admin --admin',
    'nexus hub token create --name ci-bot --zones eng:rw,ops:r --expires 90d',
    "nexus hub token create --name reporter --zones-glob 'team-*' --owner reports@example.com",
    'nexus hub token create --name app-server --zone shop:c --json | jq -r .token',
  ])
}

/** @param before - where the option was given before */
function readOneZone(zone: string, before: string | undefined): string {
  if (before === undefined && !zone.includes(',')) return zone
  const all = before === undefined ? zone : `${before},${zone}`
  throw new UsageError(`--zone is for one zone; for several: --zones ${all}`)
}

async function createToken({ io }: Context, hub: Hub, options: CreateOptions): Promise<void> {
  const expiresIn = options.expires === undefined ? undefined : parseExpiry(options.expires)
  const owner = options.owner ?? options.userId
  const grants = await chooseGrants(hub, options)
  const before = grants.length === 0 ? [] : await listZoneNames(hub)
  const created = await hub.createToken({
    name: options.name,
    zones: [...grants],
    is_admin: options.admin === true,
    ...(owner !== undefined && { owner }),
    ...(expiresIn !== undefined && { expires_in: expiresIn }),
  })
  // the first ones are made unasked: a slip among them is to be seen
  for (const { zone } of grants) if (!before.includes(zone)) writeLine(io.stderr, `created zone ${zone}.`)
  if (options.json) {
    const { token, prefix, expires_at: expires, owner: actsFor } = created
    writeJson(io.stdout, { ...toListedToken(created), owner: actsFor, expires: expires ?? '-', prefix, token })
    return
  }
  writeLine(io.stdout, `key_id: ${created.key_id}`)
  writeLine(io.stdout, `token:  ${printable(created.token)}`)
  writeLine(io.stdout, '')
  writeLine(io.stdout, 'Save this token now — it will not be shown again.')
}

async function chooseGrants(hub: Hub, { zones, zone, zonesGlob, admin }: CreateOptions): Promise<readonly Grant[]> {
  if (zones !== undefined) return parseGrants(zones)
  if (zone !== undefined) return [parseGrant(zone)]
  if (zonesGlob !== undefined) return findGrants(hub, zonesGlob)
  if (admin) return []
  throw new UsageError('say in which zones: --zones, --zone or --zones-glob (only an --admin token needs none)')
}

async function findGrants(hub: Hub, pattern: string): Promise<readonly Grant[]> {
  const names = await listZoneNames(hub)
  const matching = matchZones(pattern, names)
  if (matching.length > 0) return matching.map((zone) => ({ zone, permissions: 'rw' }))
  throw new CliError(`no zone matches ${printable(pattern)}; there are: ${names.join(', ')}`)
}

function registerList(token: Command, context: Context): void {
  const list = token
    .command('list')
    .description('Lists tokens, newest first. The tokens themselves are not shown: nobody has them but their holders.')
    .option('--show-revoked', 'those that are over too')
    .option('--json', 'print them as JSON')
    .action(async (options: { readonly showRevoked?: true; readonly json?: true }, command: Command) => {
      const tokens = await withHub(context, command, ({ hub }) =>
        listEvery(async (page) => {
          const answer = await hub.listTokens({ show_revoked: options.showRevoked ? 'true' : 'false', ...page })
          return { items: answer.tokens, nextCursor: answer.next_cursor }
        }),
      )
      if (options.json) writeJson(context.io.stdout, { tokens: tokens.map(toListedToken) })
      else writeTable(context.io, tokenColumns, tokens.map(toTokenRow))
    })
  withExamples(list, [
    'nexus hub token list',
    'nexus hub token list --json | jq -r \'.tokens[] | select(.last_used == "-") | .name\'',
    'nexus hub token list --show-revoked | cut -f 2,8',
  ])
}

function registerRevoke(token: Command, context: Context): void {
  const revoke = token
    .command('revoke')
    .description('Ends a token for good: about a second later no request with it is answered.')
    .argument('<token>', 'its name, its key id or the beginning of one (4 characters), or its prefix (sk-…)')
    .option('--json', 'print what became of it as JSON')
    .action(async (identifier: string, options: { readonly json?: true }, command: Command) => {
      await withHub(context, command, async ({ hub }) => {
        const { key_id: keyId } = await findToken(hub, identifier)
        const revoked = await hub.revokeToken(keyId)
        if (options.json) writeJson(context.io.stdout, toListedToken(revoked))
        else writeLine(context.io.stdout, `revoked ${printable(revoked.name)} (${revoked.key_id}).`)
      })
    })
  withExamples(revoke, [
    'nexus hub token revoke ci-bot',
    'nexus hub token revoke 019ab3f2',
    'nexus hub token revoke sk-eng_ci-bot_4f6c01aa',
  ])
}
