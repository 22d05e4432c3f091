import { createLogger, createServer, type ServerOptions, type ZodApp } from '@nexus/service'
import { captureLogs, type CapturedLogs } from '@nexus/testing'

export type TestApp = AsyncDisposable & {
  readonly app: ZodApp
  readonly port: number
  readonly url: string
  readonly logs: CapturedLogs
}

/** A server on a free port of loopback, with the routes that `addRoutes` adds. */
export async function startApp(
  addRoutes: (app: ZodApp) => void = () => undefined,
  options: Partial<ServerOptions> = {},
): Promise<TestApp> {
  const logs = captureLogs()
  const logger = createLogger({ level: 'trace', service: 'test', destination: logs })
  const app = createServer({ logger, ...options })
  addRoutes(app)
  const url = await app.listen({ host: '127.0.0.1', port: 0 })
  return { app, port: Number(new URL(url).port), url, logs, [Symbol.asyncDispose]: () => app.close() }
}
