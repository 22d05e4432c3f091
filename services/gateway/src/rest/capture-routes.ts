import {
  captureCredentialBody,
  captureLimit,
  captureSchema,
  captureSchemaQuery,
  credentialCaptured,
  errorBody,
  noQuery,
} from '@nexus/contracts'
import type { ZodApp } from '@nexus/service'
import type { z } from 'zod'
import { describeCaller } from '../http/caller-facts.ts'
import { allowOrigins } from '../http/cross-origin.ts'
import type { LimitRequest } from '../http/limit-by-address.ts'
import { type CaptureDeps, captureCredential, readCaptureSchema } from '../operations/capture-credential.ts'

export type CaptureRouteDeps = CaptureDeps & {
  readonly limitPublicRoutes: LimitRequest
  /** Whose pages may call these routes. */
  readonly allowedOrigins: readonly string[]
}

const schemaPath = '/v1/capture-schema'
const credentialPath = '/v1/capture-credential'

/**
 * For forms that apps draw themselves, in a browser. Public: what opens these routes is the state of the request, which
 * is in the query or the body and never added by a browser of its own accord, so that no other page can forge a request.
 */
export async function registerCaptureRoutes(app: ZodApp, deps: CaptureRouteDeps): Promise<void> {
  const config = { public: true, answers: 'json' } as const
  app.setSerializerCompiler(() => JSON.stringify)
  // first: whoever is refused is to know it
  allowOrigins(app, deps.allowedOrigins, [
    { method: 'GET', path: schemaPath },
    { method: 'POST', path: credentialPath },
  ])
  app.addHook('onRequest', async (request) => {
    request.callerKind = 'browser'
    await deps.limitPublicRoutes(request)
  })

  app.get(
    schemaPath,
    {
      config,
      schema: { ...describe('Read what to ask a person for', captureSchema), querystring: captureSchemaQuery },
    },
    (request) => readCaptureSchema(deps, request.query.state, describeCaller(request)),
  )
  app.post(
    credentialPath,
    {
      config,
      bodyLimit: captureLimit,
      schema: {
        ...describe('Hand in what a person typed', credentialCaptured),
        querystring: noQuery,
        body: captureCredentialBody,
      },
    },
    (request) => captureCredential(deps, request.body, describeCaller(request)),
  )
}

function describe<Answer extends z.ZodType>(summary: string, answer: Answer) {
  return { summary, tags: ['capture'], response: { 200: answer, default: errorBody } }
}
