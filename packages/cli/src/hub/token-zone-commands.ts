import type { AgentToken } from '@nexus/contracts'
import type { Command } from 'commander'
import { type Context, withExamples } from '../context.ts'
import { UsageError } from '../errors.ts'
import { printable, writeJson, writeLine } from '../output/text.ts'
import { writeTable } from '../output/table.ts'
import { findToken } from './find-token.ts'
import { assertZoneExists } from './list-zones.ts'
import { parseGrant, parsePermissions } from './parse-grants.ts'
import { withHub } from './with-hub.ts'

type Named = { readonly name: string; readonly json?: true }

const nameOption = ['--name <token>', 'the token: its name, its key id or the beginning of one, or its prefix'] as const

/** `nexus hub token zones add|remove|show`. */
export function registerTokenZoneCommands(token: Command, context: Context): void {
  const zones = withExamples(token.command('zones').description('The zones of a token, and what it may do there.'), [
    'nexus hub token zones show --name ci-bot',
    'nexus hub token zones add --name ci-bot --zone ops:r',
    'nexus hub token zones remove --name ci-bot --zone ops',
  ])
  registerAdd(zones, context)
  registerRemove(zones, context)
  registerShow(zones, context)
}

type AddOptions = Named & { readonly zone: string; readonly perms?: string }

function registerAdd(zones: Command, context: Context): void {
  const add = zones
    .command('add')
    .description('Gives a token a zone, or other permissions in one that it has.')
    .requiredOption(...nameOption)
    .requiredOption('--zone <zone>', 'the zone, as ops or ops:r; without permissions rw')
    .option('--perms <permissions>', 'the permissions: the same as after the colon')
    .option('--json', 'print the zones that it has then as JSON')
    .action(async (options: AddOptions, command: Command) => {
      const { zone, permissions } = readGrant(options)
      await withHub(context, command, async ({ hub }) => {
        const token = await findToken(hub, options.name)
        const isThere = token.zones.some((grant) => grant.zone === zone && grant.permissions === permissions)
        const after = isThere ? token : await hub.setTokenZone(token.key_id, zone, permissions)
        say(
          context,
          options,
          after,
          `${isThere ? 'no change' : 'added'}: ${printable(token.name)} → ${zone} (${permissions})`,
        )
      })
    })
  withExamples(add, [
    'nexus hub token zones add --name ci-bot --zone ops',
    'nexus hub token zones add --name ci-bot --zone ops --perms r',
    'nexus hub token zones add --name 019ab3f2 --zone shop:rwx',
  ])
}

function readGrant({ zone, perms }: AddOptions) {
  if (perms === undefined) return parseGrant(zone)
  if (zone.includes(':')) throw new UsageError('give the permissions once: after the colon, or with --perms')
  return { ...parseGrant(zone), permissions: parsePermissions(perms) }
}

function registerRemove(zones: Command, context: Context): void {
  const remove = zones
    .command('remove')
    .description('Takes a zone from a token. The last one stays: a token that may do nothing is to be revoked.')
    .requiredOption(...nameOption)
    .requiredOption('--zone <zone>', 'the zone')
    .option('--json', 'print the zones that it has then as JSON')
    .action(async (options: Named & { readonly zone: string }, command: Command) => {
      // `--zone eng:r` would take all of eng away, and not r
      if (options.zone.includes(':'))
        throw new UsageError('a zone is removed as a whole: name it without permissions; zones add sets other ones')
      const { zone } = parseGrant(options.zone)
      await withHub(context, command, async ({ hub }) => {
        const token = await findToken(hub, options.name)
        const isThere = token.zones.some((grant) => grant.zone === zone)
        // a slip would else read as if the token had lost what it was to lose
        if (!isThere) await assertZoneExists(hub, zone)
        const after = isThere ? await hub.removeTokenZone(token.key_id, zone) : token
        say(context, options, after, `${isThere ? 'removed' : 'no change'}: ${printable(token.name)} → ${zone}`)
      })
    })
  withExamples(remove, ['nexus hub token zones remove --name ci-bot --zone ops'])
}

function registerShow(zones: Command, context: Context): void {
  const show = zones
    .command('show')
    .description('The zones of a token, its first one first.')
    .requiredOption(...nameOption)
    .option('--json', 'print them as JSON')
    .action(async (options: Named, command: Command) => {
      const token = await withHub(context, command, ({ hub }) => findToken(hub, options.name))
      if (options.json) writeJson(context.io.stdout, toJson(token))
      else
        writeTable(
          context.io,
          ['zone', 'permissions'],
          sortZones(token).map((grant) => [grant.zone, grant.permissions]),
        )
    })
  withExamples(show, [
    'nexus hub token zones show --name ci-bot',
    'nexus hub token zones show --name ci-bot --json | jq .zones',
  ])
}

function say({ io }: Context, { json }: Named, token: AgentToken, words: string): void {
  if (json) writeJson(io.stdout, toJson(token))
  else writeLine(io.stdout, words)
}

function toJson(token: AgentToken) {
  return { key_id: token.key_id, name: token.name, zone: token.zone, zones: sortZones(token) }
}

function sortZones({ zone: first, zones }: AgentToken): AgentToken['zones'] {
  return zones.toSorted((a, b) => Number(b.zone === first) - Number(a.zone === first) || (a.zone < b.zone ? -1 : 1))
}
