import {
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
import { type SubmitCaptureDeps, describeCapture, submitCapture } from './submit-capture.ts'

export type CaptureRouteDeps = SubmitCaptureDeps & {
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
        const captured = await submitCapture(deps, request.body, request.origin)
        return wantsJson(request)
          ? reply.send(captured)
          : sendOnward(reply, { requestId: request.id, brand: deps.brand() }, captured.return_url)
      },
    )
  })
}

function wantsJson({ headers }: FastifyRequest): boolean {
  return headers.accept?.includes('application/json') === true
}

function sendOnward(reply: FastifyReply, page: ProblemPageOptions, returnUrl: string | null): FastifyReply {
  if (returnUrl !== null) return reply.redirect(returnUrl, 303)
  return sendPage(reply, 200, problemPage('completed', page))
}
