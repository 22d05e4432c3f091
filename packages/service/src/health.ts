import { alive, readiness } from '@nexus/contracts'
import type { ZodApp } from './zod-app.ts'

export type Readiness = {
  readonly ok: boolean
  /** What stands beside `status` in the answer: `{ postgres: 'ok', redis: 'away', migrations: 'ok' }`. */
  readonly checks: Readonly<Record<string, string>>
}

export type HealthOptions = {
  /** Looks at what the service needs. A throw or more than `deadlineMilliseconds` counts as not ready. */
  readonly ready: () => Promise<Readiness>
  readonly deadlineMilliseconds?: number
}

const probeConfig = { public: true, answersWhileDraining: true } as const

/** `/health` answers while the process lives; `/health/ready` only while it can serve, and no longer once it drains. */
export function registerHealth(app: ZodApp, options: HealthOptions): void {
  app.get('/health', { config: probeConfig, schema: { tags: ['health'], response: { 200: alive } } }, async () => ({
    status: 'ok' as const,
  }))

  app.get(
    '/health/ready',
    { config: probeConfig, schema: { tags: ['health'], response: { 200: readiness, 503: readiness } } },
    async (request, reply) => {
      const { ok, checks } = await checkReadiness(options, (error) =>
        request.log.warn({ err: error }, 'readiness could not be found out'),
      )
      if (app.isDraining()) return reply.code(503).send({ ...checks, status: 'draining' })
      return ok
        ? reply.code(200).send({ ...checks, status: 'ready' })
        : reply.code(503).send({ ...checks, status: 'not_ready' })
    },
  )
}

const notReady: Readiness = { ok: false, checks: {} }

async function checkReadiness(options: HealthOptions, onFailure: (error: unknown) => void): Promise<Readiness> {
  const late = Promise.withResolvers<Readiness>()
  const timer = setTimeout(() => late.resolve(notReady), options.deadlineMilliseconds ?? 3_000)
  try {
    return await Promise.race([options.ready(), late.promise])
  } catch (error) {
    onFailure(error)
    return notReady
  } finally {
    clearTimeout(timer)
  }
}
