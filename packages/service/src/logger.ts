import { destination as openDestination, pino, stdTimeFunctions, type Logger as PinoLogger } from 'pino'
import { isPlain, isSecretField, redactFields, redactValue } from './redact-fields.ts'
import { redacted, scrubText } from './scrub-text.ts'

export type Logger = PinoLogger

export type LogLevel = 'fatal' | 'error' | 'warn' | 'info' | 'debug' | 'trace' | 'silent'

export type LoggerOptions = {
  readonly level: LogLevel
  /** Stands in every line. */
  readonly service: string
  /** Takes whole lines; standard output unless given. */
  readonly destination?: { write(line: string): unknown }
}

/**
 * A JSON logger that keeps duty L1 at every level: fields named like secrets are blanked wherever they stand, errors
 * show only what `serializeError` lets through, and texts lose what looks like a credential.
 */
export function createLogger(options: LoggerOptions): Logger {
  // synchronous, so that the last lines before an exit are not lost
  const sink = options.destination ?? openDestination({ fd: 1, sync: true })
  return pino(
    {
      level: options.level,
      base: { service: options.service, pid: process.pid },
      timestamp: stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }), log: redactFields },
      // ours stand before Fastify's own, which would print URLs with tickets and codes
      serializers: { err: serialize, req: serialize, res: serialize },
      // bindings of child loggers do not pass the formatter
      redact: { paths: bindingNames.map((name) => `["${name}"]`), censor },
    },
    { write: (line: string) => sink.write(scrubText(line)) },
  )
}

/** The formatter has already turned an error into plain data, which must not be judged by its names again. */
function serialize(value: unknown): unknown {
  return isPlain(value) ? value : redactValue(value)
}

const bindingNames = [
  'authorization',
  'cookie',
  'set-cookie',
  'x-api-key',
  'x-nexus-api-key',
  'access_token',
  'refresh_token',
  'id_token',
  'client_secret',
  'code',
  'code_verifier',
  'state',
  'ticket',
  'token',
  'secret',
  'password',
  'credentials',
]

function censor(value: unknown, path: readonly string[]): unknown {
  return isSecretField(path.at(-1) ?? '', value) ? redacted : value
}
