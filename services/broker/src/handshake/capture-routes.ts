import {
  type CredentialCaptured,
  captureCredentialBody,
  captureLimit,
  captureSchema,
  captureSchemaQuery,
  credentialCaptured,
  errorBody,
  noQuery,
} from '@nexus/contracts'
import { type Brand, type ProblemPageOptions, type ZodApp, problemPage, sendPage } from '@nexus/service'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { publicApiRoute } from '../http/access.ts'
import { returnWithSuccess } from './callback-answer.ts'
import type { ReturnDomain } from './return-url.ts'
import { type SubmitCaptureDeps, describeCapture, submitCapture } from './submit-capture.ts'

export type CaptureRouteDeps = SubmitCaptureDeps & {
  readonly returnDomains: readonly ReturnDomain[]
  /** Whose page it looks like. */
  readonly brand: () => Brand
  /** Guards the public routes by client address. */
  readonly limitPublicRoutes: (request: FastifyRequest) => Promise<void>
}

/**
 * For front ends that draw their own form.
 *
 * No request can be forged here: nothing that a browser adds of its own accord, a cookie least of all, counts for anything.
 * Whoever knows the state may do what it allows, and a page of somebody else does not know it.
 */
export function registerCaptureRoutes(app: ZodApp, deps: CaptureRouteDeps): void {
  app.register(async (scope: ZodApp) => {
    scope.addHook('onRequest', deps.limitPublicRoutes)
    scope.get(
      '/auth/capture-schema',
      {
        config: publicApiRoute,
        schema: {
          tags: ['handshake'],
          summary: 'What to ask a person for: the state of the request is the credential',
          querystring: captureSchemaQuery,
          response: { 200: captureSchema, default: errorBody },
        },
      },
      async ({ query, origin }) => describeCapture(deps, query.state, origin),
    )
    scope.post(
      '/auth/capture-credential',
      {
        config: publicApiRoute,
        bodyLimit: captureLimit,
        schema: {
          tags: ['handshake'],
          summary: 'What a person typed in: 303 to the return URL, or JSON for Accept: application/json',
          querystring: noQuery,
          body: captureCredentialBody,
          response: { 200: credentialCaptured, default: errorBody },
        },
      },
      async (request, reply) => {
        const { attempt, heldLocation } = await submitCapture(deps, request.body, request.origin)
        const ending = returnWithSuccess(deps.returnDomains, { attempt, clearCookie: undefined })
        const returnUrl = heldLocation ?? (ending.kind === 'redirect' ? ending.location : null)
        const status = heldLocation === undefined ? 'success' : 'completion_required'
        const { connectionId, providerName: provider } = attempt
        return wantsJson(request)
          ? sendCaptured(reply, { status, connection_id: connectionId, provider, return_url: returnUrl })
          : sendOnward(reply, { requestId: request.id, brand: deps.brand() }, returnUrl)
      },
    )
  })
}

function wantsJson({ headers }: FastifyRequest): boolean {
  return headers.accept?.includes('application/json') === true
}

function sendCaptured(reply: FastifyReply, captured: CredentialCaptured): FastifyReply {
  return reply.send(captured)
}

function sendOnward(reply: FastifyReply, page: ProblemPageOptions, returnUrl: string | null): FastifyReply {
  if (returnUrl !== null) return reply.redirect(returnUrl, 303)
  return sendPage(reply, 200, problemPage('completed', page))
}
