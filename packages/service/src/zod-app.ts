import type { ErrorCode } from '@nexus/contracts'
import type {
  FastifyBaseLogger,
  FastifyInstance,
  RawReplyDefaultExpression,
  RawRequestDefaultExpression,
  RawServerDefault,
} from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** No credential is asked for. Every route without it must be guarded; a test of each service lists those with it. */
    public?: boolean
    /** What failures of this route look like: `page` for browsers, `json` for programs. Unset: below `/auth/`, the Accept header decides. */
    answers?: 'page' | 'json'
    /** Answered even while the server shuts down: probes. */
    answersWhileDraining?: boolean
  }
  interface FastifyRequest {
    /** Who called, for the access log: `gateway`, `operator`, `agent`, `browser` … Set by the service's own authentication hook. */
    callerKind: string | undefined
    /** The code of the error that was answered, for the access log. Set by the error handler. */
    errorCode: ErrorCode | undefined
    /** The service writes a record of this request itself, in place of the access log's line. */
    hasOwnRecord: boolean
  }
}

/** The Fastify instance both services build on: zod schemas type a route's params, query, body and answers. */
export type ZodApp = FastifyInstance<
  RawServerDefault,
  RawRequestDefaultExpression,
  RawReplyDefaultExpression,
  FastifyBaseLogger,
  ZodTypeProvider
>
