import type { HubStatus } from '@nexus/contracts'
import type { Command } from 'commander'
import { type Context, withExamples } from '../context.ts'
import { codeOf } from '../errors.ts'
import { createPaint, printable, writeJson, writeLine } from '../output/text.ts'
import type { OpenedHub } from './open-hub.ts'
import { withHub } from './with-hub.ts'

type StatusOptions = { readonly json?: true; readonly detail?: true }

/** `nexus hub status`: exit code 2 where PostgreSQL is not well, so that a script may wait for it. */
export function registerStatusCommand(hub: Command, context: Context): void {
  const status = hub
    .command('status')
    .description(
      'Whether the hub is well. Ends with 2 where PostgreSQL is not; a Redis that is away is no fault, nothing needs it.',
    )
    .option('--json', 'print it as JSON')
    .option('--detail', 'with the zones, and the connections by their status')
    .action(async (options: StatusOptions, command: Command) => {
      const report = await withHub(context, command, async (opened) => toReport(opened, await readStatus(opened)))
      if (options.json) writeJson(context.io.stdout, options.detail ? report : withoutDetail(report))
      else writeReport(context, report, options.detail === true)
      if (report.postgres !== 'ok') context.exitWith(2)
    })
  withExamples(status, [
    'nexus hub status',
    'nexus hub status --json --detail',
    'until nexus hub status >/dev/null; do sleep 1; done',
  ])
}

const away: HubStatus = { postgres: 'err', redis: 'n/a', tokens: null, connections: null, zones: null, qps: null }

/** Without its database a Broker cannot tell who asks a Gateway: then `unavailable` is all that it says. */
async function readStatus({ hub }: OpenedHub): Promise<HubStatus> {
  try {
    return await hub.status()
  } catch (error) {
    if (codeOf(error) !== 'unavailable') throw error
    return away
  }
}

type Report = ReturnType<typeof toReport>

function toReport({ endpoint, profile }: OpenedHub, status: HubStatus) {
  const { postgres, redis, tokens, connections, zones, qps } = status
  return {
    endpoint,
    profile,
    postgres,
    redis,
    tokens,
    connections: connections === null ? null : (connections['active'] ?? 0),
    qps_5m: qps,
    zones,
    connections_by_status: connections,
  }
}

function withoutDetail({ zones: _, connections_by_status: __, ...report }: Report) {
  return report
}

function writeReport({ io }: Context, report: Report, withDetail: boolean): void {
  const paint = createPaint(io.stdout, io.env)
  const { tokens, connections_by_status: byStatus } = report
  const counts = Object.entries(byStatus ?? {}).map(([name, count]) => `${count} ${printable(name)}`)
  const lines: readonly (readonly [string, string])[] = [
    ['endpoint', report.endpoint],
    ['profile', report.profile],
    ['postgres', paint(report.postgres === 'ok' ? 'green' : 'red', report.postgres)],
    ['redis', paint(report.redis === 'ok' ? 'green' : 'dim', report.redis)],
    ['tokens', tokens === null ? 'n/a' : `${tokens.active} active, ${tokens.revoked} revoked`],
    ['connections', String(report.connections ?? 'n/a')],
    ['qps (5m)', String(report.qps_5m ?? 'n/a')],
  ]
  const detail: typeof lines = [
    ['zones', String(report.zones ?? 'n/a')],
    ['by status', counts.join(', ') || 'n/a'],
  ]
  for (const [name, value] of withDetail ? [...lines, ...detail] : lines) {
    writeLine(io.stdout, `${name}: ${value}`)
  }
}
