import { zoneName } from '@nexus/contracts'
import type { Command } from 'commander'
import { type Context, withExamples } from '../context.ts'
import { UsageError, codeOf, CliError, describeError } from '../errors.ts'
import { writeJson, writeLine } from '../output/text.ts'
import { writeTable } from '../output/table.ts'
import { listZones } from './list-zones.ts'
import { withHub } from './with-hub.ts'

type Json = { readonly json?: true }

/** `nexus hub zone list|create|remove`. */
export function registerZoneCommands(hub: Command, context: Context): void {
  const zone = withExamples(hub.command('zone').description('Zones: what one of them holds, no other sees.'), [
    'nexus hub zone create eng',
    'nexus hub zone list',
    'nexus hub zone remove eng',
  ])
  registerList(zone, context)
  registerCreate(zone, context)
  registerRemove(zone, context)
}

function registerList(zone: Command, context: Context): void {
  const list = zone
    .command('list')
    .description('Lists zones by name, with the connections that are not over and the living tokens of each.')
    .option('--json', 'print them as JSON')
    .action(async ({ json }: Json, command: Command) => {
      const zones = await withHub(context, command, ({ hub }) => listZones(hub))
      if (json) writeJson(context.io.stdout, { zones })
      else {
        const rows = zones.map((one) => [one.name, String(one.connections), String(one.tokens), one.created_at])
        writeTable(context.io, ['name', 'connections', 'tokens', 'created'], rows)
      }
    })
  withExamples(list, ['nexus hub zone list', "nexus hub zone list --json | jq -r '.zones[].name'"])
}

function registerCreate(zone: Command, context: Context): void {
  const create = zone
    .command('create')
    .description('Makes a zone.')
    .argument('<zone>', 'its name: 1 to 64 of a-z, 0-9 and -', readName)
    .option('--json', 'print it as JSON')
    .action(async (name: string, { json }: Json, command: Command) => {
      const created = await withHub(context, command, ({ hub }) => hub.createZone(name))
      if (json) writeJson(context.io.stdout, created)
      else writeLine(context.io.stdout, `created zone ${created.name}.`)
    })
  withExamples(create, ['nexus hub zone create eng'])
}

function registerRemove(zone: Command, context: Context): void {
  const remove = zone
    .command('remove')
    .description(
      'Removes a zone. One that still has connections is refused; with --force they are disconnected, and revoked at ' +
        'their providers. Tokens lose the zone, and end if it was their only one. root stays.',
    )
    .argument('<zone>', 'its name', readName)
    .option('--force', 'disconnect what is connected in it')
    .option('--json', 'print what became of it as JSON')
    .action(async (name: string, { force, json }: Json & { readonly force?: true }, command: Command) => {
      const removed = await withHub(context, command, ({ hub }) =>
        hub.removeZone(name, { force: force === true }),
      ).catch((error: unknown) => {
        if (codeOf(error) !== 'zone_not_empty') throw error
        throw new CliError(`${describeError(error)} With --force they are disconnected.`, { cause: error })
      })
      if (json) writeJson(context.io.stdout, removed)
      else {
        const { connections, tokens_revoked: tokens } = removed
        writeLine(
          context.io.stdout,
          `removed zone ${name}: ${connections} connections disconnecting, ${tokens} tokens revoked.`,
        )
      }
    })
  withExamples(remove, ['nexus hub zone remove eng', 'nexus hub zone remove eng --force'])
}

function readName(text: string): string {
  if (zoneName.safeParse(text).success) return text
  throw new UsageError(`${JSON.stringify(text)} is no name of a zone: 1 to 64 of a-z, 0-9 and -`)
}
