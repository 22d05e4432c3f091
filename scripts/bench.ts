import { parseArgs } from 'node:util'
import { benchAgents } from './bench/agents.ts'
import { benchRefresh } from './bench/refresh.ts'
import { benchTokenRead } from './bench/token-read.ts'

const help = `npm run bench [-- token-read] [--connections N] [--rounds N] [--seconds N]
npm run bench -- refresh [--connections N] [--due N] [--seconds N]
npm run bench -- agents [--tokens N] [--rounds N] [--seconds N]

token-read measures token reads per second through Gateway and Broker beside a bare two-hop proxy, in turns. Defaults:
10000 connections, 5 rounds of 8 seconds each.

refresh measures how long a Broker takes to claim a batch of due tokens among many, how much reads suffer from many
connections, and how many tokens one Broker refreshes a second. Defaults: 1000000 connections, 10000 due, rounds of 8 seconds.

agents measures token reads by many agents, each with its own token, beside reads by nobody in particular, in turns; and how
long a revoked token is still taken. Defaults: 10000 tokens in a tenth as many zones, 5 rounds of 8 seconds each.

All end with one JSON line. Nothing else should run meanwhile.
`

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    connections: { type: 'string' },
    rounds: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '8' },
    due: { type: 'string', default: '10000' },
    tokens: { type: 'string', default: '10000' },
    help: { type: 'boolean', short: 'h', default: false },
  },
})
const [bench = 'token-read', ...more] = positionals
const connections = Number(values.connections ?? (bench === 'refresh' ? '1000000' : '10000'))
const [rounds = 0, seconds = 0, due = 0, tokens = 0] = [values.rounds, values.seconds, values.due, values.tokens].map(
  Number,
)
const isUsable =
  more.length === 0 &&
  ['token-read', 'refresh', 'agents'].includes(bench) &&
  [connections, rounds, seconds, due, tokens].every((n) => Number.isInteger(n) && n >= 1)
if (values.help) process.stdout.write(help)
else if (!isUsable) {
  process.stderr.write(help)
  process.exitCode = 2
} else if (bench === 'agents') await benchAgents({ tokens, rounds, seconds })
else if (bench === 'refresh') await benchRefresh({ connections, due, seconds })
else await benchTokenRead({ connections, rounds, seconds })
