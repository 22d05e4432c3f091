import { isAbsolute, join } from 'node:path'
import { parseArgs } from 'node:util'

export const portNames = ['gateway', 'broker', 'provider', 'postgres'] as const
export type PortName = (typeof portNames)[number]

/** 0 stands for any free port. */
export type Ports = Readonly<Record<PortName, number>>

export type Options = {
  readonly ports: Ports
  /** Absolute. Keys, database and logs are kept here. */
  readonly dataDir: string
  /** Of a server to use instead of an embedded one. */
  readonly databaseUrl: string | undefined
  /** Print the facts as one line of JSON instead of the text for people. */
  readonly json: boolean
}

export const titles: Readonly<Record<PortName, string>> = {
  gateway: 'Gateway',
  broker: 'Broker',
  provider: 'demo identity provider',
  postgres: 'PostgreSQL',
}

const defaultPorts: Ports = { gateway: 8090, broker: 8080, provider: 9400, postgres: 54_329 }

/** A mistake in how the command was called. */
export class UsageError extends Error {}

export const help = `npm start [-- options]

Runs Nexus on this machine with a demo identity provider, and prints a link to click and the curl lines that fetch a
token. Everything listens on 127.0.0.1 only. Ctrl-C stops it; the data stays, and the next start finds it again.

  --json                 print one line of JSON when ready, for scripts; progress goes to stderr
                         (npm start --silent -- --json keeps npm's own lines away from stdout)
  --gateway-port N       NEXUS_GATEWAY_PORT     ${defaultPorts.gateway}    0 means any free port
  --broker-port N        NEXUS_BROKER_PORT      ${defaultPorts.broker}
  --provider-port N      NEXUS_PROVIDER_PORT    ${defaultPorts.provider}    the demo identity provider
  --postgres-port N      NEXUS_POSTGRES_PORT    ${defaultPorts.postgres}
  --port-offset N        NEXUS_PORT_OFFSET      0       added to the ports above that are not given
  --data-dir PATH        NEXUS_DATA_DIR         .nexus  keys, database and logs
  --database-url URL     NEXUS_DATABASE_URL             a PostgreSQL server to use instead of the embedded one
  --help

On another machine? Bring the ports of Gateway and provider over: ssh -L 8090:127.0.0.1:8090 -L 9400:127.0.0.1:9400 …
`

type Environment = Readonly<Record<string, string | undefined>>

/**
 * @param root - the checkout; relative data folders are below it
 * @returns `undefined` if help was asked for
 * @throws UsageError
 */
export const readOptions = (args: readonly string[], env: Environment, root: string): Options | undefined => {
  const { help: isHelpAsked = false, json = false, ...given } = parse(args)
  if (isHelpAsked) return undefined
  const values: Environment = given
  const take = (name: string): string | undefined =>
    values[name] ?? (env[`NEXUS_${name.toUpperCase().replaceAll('-', '_')}`] || undefined)
  const offset = toNumber('--port-offset', take('port-offset') ?? '0', 50_000)
  const port = (name: PortName): number => {
    const wanted = take(`${name}-port`)
    return wanted === undefined ? defaultPorts[name] + offset : toNumber(`--${name}-port`, wanted, 65_535)
  }
  const dataDir = take('data-dir') ?? '.nexus'
  return {
    ports: { gateway: port('gateway'), broker: port('broker'), provider: port('provider'), postgres: port('postgres') },
    dataDir: isAbsolute(dataDir) ? dataDir : join(root, dataDir),
    databaseUrl: take('database-url'),
    json,
  }
}

const parse = (args: readonly string[]) => {
  const text = { type: 'string' } as const
  const flag = { type: 'boolean' } as const
  try {
    return parseArgs({
      args: [...args],
      options: {
        help: { ...flag, short: 'h' },
        json: flag,
        'gateway-port': text,
        'broker-port': text,
        'provider-port': text,
        'postgres-port': text,
        'port-offset': text,
        'data-dir': text,
        'database-url': text,
      },
    }).values
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : 'bad arguments', { cause: error })
  }
}

const toNumber = (name: string, text: string, most: number): number => {
  const number = Number(text)
  if (!/^\d+$/.test(text) || number > most) throw new UsageError(`${name} takes a whole number from 0 to ${most}`)
  return number
}
