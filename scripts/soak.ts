import { parseArgs } from 'node:util'
import { soakRefresh } from './soak/soak-refresh.ts'

const help = `npm run soak [-- --seconds N] [--connections N] [--brokers N]

Brokers on one database, with one provider that rotates refresh tokens and punishes reuse; connections come due again and
again while others read them and force their refresh. Ends with one JSON line; exit 1 if a superseded token was
presented, a connection needs its user, or a read failed. Defaults: 60 seconds, 1000 connections, 3 Brokers.
`

const say = (line: string): void => {
  process.stderr.write(`${line}\n`)
}

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '60' },
    connections: { type: 'string', default: '1000' },
    brokers: { type: 'string', default: '3' },
    help: { type: 'boolean', short: 'h', default: false },
  },
})
const numbers = [values.seconds, values.connections, values.brokers].map(Number)
if (values.help) process.stdout.write(help)
else if (numbers.some((n) => !Number.isInteger(n) || n < 1)) {
  process.stderr.write(help)
  process.exitCode = 2
} else {
  const [seconds = 0, connections = 0, brokers = 0] = numbers
  const result = await soakRefresh({ seconds, connections, brokers, onProgress: say })
  process.stdout.write(`${JSON.stringify(result)}\n`)
  process.exitCode = result.superseded + result.attention + result.failed_reads === 0 ? 0 : 1
}
