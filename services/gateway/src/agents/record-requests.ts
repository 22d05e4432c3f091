import { scrubText, type Logger, type ZodApp } from '@nexus/service'
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { AgentMetrics } from './agent-metrics.ts'
import type { AuditChannel } from './audit-channel.ts'

/** One request of an agent, as operators and their systems read it. What is not known is null. */
export type RequestRecord = {
  readonly ts: string
  readonly event: 'agent.request'
  /** The first 16 hex digits of the token's SHA-256: enough to follow it, nothing to use it by. */
  readonly token_hash: string | null
  readonly key_id: string | null
  readonly zone_id: string | null
  /** The user or system that the token acts for. */
  readonly subject_id: string | null
  readonly method: string
  readonly operation: string
  readonly status_code: number
  readonly latency_ms: number
  readonly user_agent: string | null
  readonly request_id: string
}

export type RecordingDeps = {
  readonly logger: Logger
  /** undefined: there is no Redis. */
  readonly channel: AuditChannel | undefined
  readonly metrics: AgentMetrics
  /** Milliseconds since the epoch. */
  readonly now: () => number
}

/** What nginx logs for a client that went away before the answer. */
const clientClosedRequest = 499
const longestUserAgent = 256

/**
 * Records every request on an agent's route once its connection is done with it, however it ended: a client that goes away
 * early leaves its line too. In place of the access log, and at every level of it.
 */
export function installRequestRecords(app: ZodApp, { logger, channel, metrics, now }: RecordingDeps): void {
  const lines = logger.child({}, { level: 'info' })

  function keep(operation: string, request: FastifyRequest, reply: FastifyReply): void {
    const record = describeRequest(operation, request, reply, now())
    lines.info(record)
    channel?.publish(scrubText(JSON.stringify(record)))
    metrics.observe(operation, record.status_code, reply.elapsedTime)
  }

  app.addHook('onRequest', (request, reply, done) => {
    const { operation } = request.routeOptions.config
    if (operation !== undefined) {
      request.hasOwnRecord = true
      reply.raw.once('close', () => keep(operation, request, reply))
    }
    done()
  })
}

function describeRequest(operation: string, request: FastifyRequest, reply: FastifyReply, now: number): RequestRecord {
  const identity = request.callingAgent?.identity()
  return {
    ts: new Date(now).toISOString(),
    event: 'agent.request',
    token_hash: request.callingAgent?.tokenHash?.slice(0, 16) ?? null,
    key_id: identity?.keyId ?? null,
    zone_id: identity?.zone ?? null,
    subject_id: identity?.owner ?? null,
    method: request.method,
    operation,
    status_code: reply.raw.writableFinished ? reply.statusCode : clientClosedRequest,
    latency_ms: Math.round(reply.elapsedTime),
    user_agent: describeUserAgent(request.headers['user-agent']),
    request_id: request.id,
  }
}

/** Scrubbed before it is cut: half a secret would look like none. */
function describeUserAgent(userAgent: string | undefined): string | null {
  return userAgent === undefined ? null : scrubText(userAgent).slice(0, longestUserAgent)
}
