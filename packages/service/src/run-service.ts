import { setTimeout } from 'node:timers/promises'
import { ConfigError } from '@nexus/config'
import { createLogger, type Logger } from './logger.ts'

const defaultGraceSeconds = 25

/** What a service gives to be run and, in the end, closed. */
export type RunningService = {
  /** For the line that says the service is up. */
  readonly address?: string
  /** Drains: stops accepting, finishes what is in flight, releases what is held. Called once. */
  readonly close: () => Promise<void>
  /** The service's own logger, made from its configuration; takes over from `RunOptions.logger`. */
  readonly logger?: Logger
  /** Takes over from `RunOptions.graceSeconds`. */
  readonly graceSeconds?: number
}

export type RunOptions = {
  readonly name: string
  /** Reads the configuration, connects, listens. What it throws ends the process with one clear text. */
  readonly start: () => Promise<RunningService>
  /** For what happens before the service has its own. */
  readonly logger?: Logger
  /** How long `close` may take before the process exits regardless, with 1. */
  readonly graceSeconds?: number
  readonly signals?: readonly NodeJS.Signals[]
}

/**
 * Runs a service for the life of the process: start, then wait for a signal, then drain and exit with 0. Exits with 1 if
 * it cannot start, if draining fails or takes longer than the grace period, on a second signal, and on any error that
 * nothing caught: a process in an unknown state must not go on serving secrets.
 */
export async function runService(options: RunOptions): Promise<void> {
  let logger = options.logger ?? createLogger({ level: 'info', service: options.name })
  exitOnUncaught(() => logger)
  const stop = waitForSignal(options.signals ?? ['SIGTERM', 'SIGINT'], () => logger)

  let service: RunningService
  try {
    service = await Promise.race([
      options.start(),
      giveUpAfterSignal(stop, options.graceSeconds ?? defaultGraceSeconds),
    ])
  } catch (error) {
    process.stderr.write(describeStartFailure(options.name, error))
    if (!isExpectedFailure(error)) logger.fatal({ err: error }, `${options.name} cannot start`)
    process.exit(1)
  }
  logger = service.logger ?? logger
  logger.info({ address: service.address }, `${options.name} is up`)

  const signal = await stop
  logger.info({ signal }, `${options.name} is draining`)
  const graceSeconds = service.graceSeconds ?? options.graceSeconds ?? defaultGraceSeconds
  process.exit(await drain(service, graceSeconds, options.name, logger))
}

/** A start that hangs (a database that does not answer, say) must not outlive the patience of whoever stops it. */
async function giveUpAfterSignal(stop: Promise<unknown>, graceSeconds: number): Promise<never> {
  await stop
  await setTimeout(graceSeconds * 1000, undefined, { ref: false })
  throw new Error('it was told to stop before it was up')
}

async function drain(service: RunningService, graceSeconds: number, name: string, logger: Logger): Promise<0 | 1> {
  try {
    const overdue = setTimeout(graceSeconds * 1000, 'overdue' as const)
    const outcome = await Promise.race([service.close(), overdue])
    if (outcome === 'overdue') {
      logger.error({ grace_seconds: graceSeconds }, `${name} did not drain within its grace period`)
      return 1
    }
    logger.info(`${name} has stopped`)
    return 0
  } catch (error) {
    logger.error({ err: error }, `${name} failed while stopping`)
    return 1
  }
}

/** Resolves with the first signal; the second one ends the process at once, for an operator who will not wait. */
function waitForSignal(signals: readonly NodeJS.Signals[], logger: () => Logger): Promise<NodeJS.Signals> {
  const first = Promise.withResolvers<NodeJS.Signals>()
  let count = 0
  for (const signal of signals) {
    process.on(signal, () => {
      count += 1
      if (count === 1) {
        first.resolve(signal)
        return
      }
      logger().warn({ signal }, 'second signal: exiting at once')
      process.exit(1)
    })
  }
  return first.promise
}

function exitOnUncaught(logger: () => Logger): void {
  process.on('uncaughtException', (error, origin) => {
    logger().fatal({ err: error, origin }, 'uncaught error')
    process.exit(1)
  })
}

function describeStartFailure(name: string, error: unknown): string {
  if (error instanceof ConfigError) {
    return `${name} cannot start: its configuration has faults\n${error.faults.map((fault) => `  - ${fault}\n`).join('')}`
  }
  return `${name} cannot start: ${describeListenFailure(error) ?? messageOf(error)}\n`
}

function isExpectedFailure(error: unknown): boolean {
  return error instanceof ConfigError || describeListenFailure(error) !== undefined
}

function describeListenFailure(error: unknown): string | undefined {
  if (!(error instanceof Error) || !('syscall' in error) || error.syscall !== 'listen' || !('code' in error))
    return undefined
  const port = 'port' in error ? String(error.port) : '?'
  const address = 'address' in error ? String(error.address) : '?'
  if (error.code === 'EADDRINUSE') return `port ${port} is already in use on ${address}`
  if (error.code === 'EACCES') return `no permission to listen on port ${port}`
  if (error.code === 'EADDRNOTAVAIL') return `the address ${address} does not belong to this machine`
  return `cannot listen on ${address}:${port} (${String(error.code)})`
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message.split('\n', 1).join('') : 'an unknown error'
}
