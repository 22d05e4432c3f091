import { parseArgs } from 'node:util'
import { judgeHerd, soakHerd } from './soak/soak-herd.ts'
import { judgeRefresh, soakRefresh } from './soak/soak-refresh.ts'

const help = `npm run soak [-- refresh] [--seconds N] [--connections N] [--brokers N]
npm run soak -- herd [--connections N] [--providers N] [--brokers N] [--dead hangs|refuses|none]

refresh: Brokers on one database, with one provider that rotates refresh tokens and punishes reuse; connections come due
again and again while others read them and force their refresh. It fails if a superseded token was presented, a
connection needs its user, or a read failed. Defaults: 60 seconds, 1000 connections, 3 Brokers.

herd: all connections come due in the same minute, at providers of which the last one is down. It fails if another one
was starved, one had more at once than REFRESH_CONCURRENCY, the one that is down was asked again and again, or memory
grew. Defaults: 100000 connections, 5 providers, 1 Broker, and the dead one hangs.

Both end with one JSON line; exit 1 if they failed.
`

const say = (line: string): void => {
  process.stderr.write(`${line}\n`)
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    seconds: { type: 'string', default: '60' },
    connections: { type: 'string' },
    brokers: { type: 'string' },
    providers: { type: 'string', default: '5' },
    dead: { type: 'string', default: 'hangs' },
    help: { type: 'boolean', short: 'h', default: false },
  },
})
const [soak = 'refresh', ...more] = positionals
const isHerd = soak === 'herd'
const connections = Number(values.connections ?? (isHerd ? '100000' : '1000'))
const brokers = Number(values.brokers ?? (isHerd ? '1' : '3'))
const [seconds = 0, providers = 0] = [values.seconds, values.providers].map(Number)
const dead = (['hangs', 'refuses', 'none'] as const).find((way) => way === values.dead)
const isUsable =
  more.length === 0 &&
  (isHerd || soak === 'refresh') &&
  [connections, brokers, seconds, providers].every((n) => Number.isInteger(n) && n >= 1)

if (values.help) process.stdout.write(help)
else if (!isUsable || dead === undefined) {
  process.stderr.write(help)
  process.exitCode = 2
} else if (isHerd) {
  const options = { connections, providers, brokers, dead, dueWithin: 60, onProgress: say }
  const result = await soakHerd(options)
  report(result, judgeHerd(result, options))
} else {
  const result = await soakRefresh({ seconds, connections, brokers, onProgress: say })
  report(result, judgeRefresh(result))
}

function report(result: object, faults: readonly string[]): void {
  for (const fault of faults) say(fault)
  process.stdout.write(`${JSON.stringify(result)}\n`)
  process.exitCode = faults.length === 0 ? 0 : 1
}
