import { parseArgs } from 'node:util'
import { benchTokenRead } from './bench/token-read.ts'

const help = `npm run bench [-- token-read] [--connections N] [--rounds N] [--seconds N]

Measures token reads per second through Gateway and Broker beside a bare two-hop proxy, in turns, and ends with one JSON
line. Nothing else should run meanwhile. Defaults: 10000 connections, 5 rounds of 8 seconds each.
`

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    connections: { type: 'string', default: '10000' },
    rounds: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '8' },
    help: { type: 'boolean', short: 'h', default: false },
  },
})
const [bench = 'token-read', ...more] = positionals
const numbers = [values.connections, values.rounds, values.seconds].map(Number)
if (values.help) process.stdout.write(help)
else if (bench !== 'token-read' || more.length > 0 || numbers.some((n) => !Number.isInteger(n) || n < 1)) {
  process.stderr.write(help)
  process.exitCode = 2
} else {
  const [connections = 0, rounds = 0, seconds = 0] = numbers
  await benchTokenRead({ connections, rounds, seconds })
}
