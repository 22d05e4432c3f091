import {
  connectionRequestLimit,
  connectionRequested,
  consentSpecBody,
  idParams,
  idempotencyKey,
  noQuery,
  reconnectBody,
} from '@nexus/contracts'
import {
  type Brand,
  type ProblemPageOptions,
  type ZodApp,
  installFormParser,
  problemPage,
  sendPage,
} from '@nexus/service'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { z } from 'zod'
import { agentRoute, connectionRoute, pageRoute } from '../http/access.ts'
import { type BeginHandshakeDeps, beginHandshake } from './begin-handshake.ts'
import { beginReconnect } from './begin-reconnect.ts'
import { type Callback, callbackQuery } from './callback.ts'
import type { CallbackAnswer } from './callback-answer.ts'
import { type CompleteHandshakeDeps, completeHandshake } from './complete-handshake.ts'

export type HandshakeRouteDeps = BeginHandshakeDeps &
  CompleteHandshakeDeps & {
    /** Whose pages they look like. */
    readonly brand: () => Brand
    /** Guards the public routes by client address. */
    readonly limitPublicRoutes: (request: FastifyRequest) => Promise<void>
  }

const formPostLimit = 65_536

const idempotencyHeaders = z.object({ 'idempotency-key': idempotencyKey.optional() })

/** How consent is asked for, and where identity providers send browsers back. The link between them is connect/'s. */
export function registerHandshakeRoutes(app: ZodApp, deps: HandshakeRouteDeps): void {
  app.post(
    '/auth/consent-spec',
    {
      config: agentRoute('w'),
      bodyLimit: connectionRequestLimit,
      schema: {
        tags: ['handshake'],
        summary: 'Start a handshake: a pending connection and its link',
        headers: idempotencyHeaders,
        querystring: noQuery,
        body: consentSpecBody,
        response: { 200: connectionRequested },
      },
    },
    async ({ body, headers, agent, namedZone, origin }) =>
      beginHandshake(deps, { spec: body, agent, namedZone, idempotencyKey: headers['idempotency-key'], origin }),
  )
  app.post(
    '/connections/:id/reconnect',
    {
      config: connectionRoute('w'),
      bodyLimit: connectionRequestLimit,
      schema: {
        tags: ['handshake'],
        summary: 'Ask for consent anew: a link for a connection that exists',
        headers: idempotencyHeaders,
        params: idParams,
        querystring: noQuery,
        body: reconnectBody,
        response: { 200: connectionRequested },
      },
    },
    async ({ params, body, headers, origin }) =>
      beginReconnect(deps, {
        connectionId: params.id,
        wanted: body,
        idempotencyKey: headers['idempotency-key'],
        origin,
      }),
  )
  app.register(async (pages: ZodApp) => {
    pages.addHook('onRequest', deps.limitPublicRoutes)
    registerPages(pages, deps)
  })
}

function registerPages(app: ZodApp, deps: HandshakeRouteDeps): void {
  const { redirectPath } = deps.redirectUri
  for (const path of [redirectPath, `${redirectPath}/:provider`]) {
    app.get(
      path,
      {
        config: pageRoute,
        schema: { tags: ['browser'], summary: 'Where providers send the browser back', querystring: callbackQuery },
      },
      async (request, reply) =>
        sendAnswer(
          reply,
          { requestId: request.id, brand: deps.brand() },
          await completeHandshake(deps, readCallback(request, request.query), request.origin),
        ),
    )
  }
  app.register(async (forms: ZodApp) => {
    // a form_post is a form: nothing else is read here
    forms.removeAllContentTypeParsers()
    installFormParser(forms, { bodyLimit: formPostLimit })
    for (const path of [redirectPath, `${redirectPath}/:provider`]) {
      forms.post(
        path,
        {
          config: pageRoute,
          schema: { tags: ['browser'], summary: 'response_mode=form_post, turned into the GET', body: callbackQuery },
        },
        async (request, reply) => turnIntoGet(request, reply),
      )
    }
  })
}

/**
 * A form_post comes from another site, so SameSite=Lax keeps our cookie back. It consumes nothing: the GET it is turned
 * into carries the cookie (H7).
 */
function turnIntoGet(request: FastifyRequest<{ Body: z.infer<typeof callbackQuery> }>, reply: FastifyReply) {
  const query = new URLSearchParams()
  for (const name of ['code', 'state', 'iss', 'error'] as const) {
    const value = request.body[name]
    if (value !== undefined) query.set(name, value)
  }
  return reply.redirect(`${pathOf(request)}?${query.toString()}`, 303)
}

function readCallback(request: FastifyRequest, query: z.infer<typeof callbackQuery>): Callback {
  const { state, code, iss, error } = query
  return { state, code, iss, error, all: query, path: pathOf(request), cookieHeader: request.headers.cookie }
}

function pathOf(request: FastifyRequest): string {
  return request.url.split('?', 1)[0] ?? ''
}

function sendAnswer(reply: FastifyReply, options: ProblemPageOptions, answer: CallbackAnswer) {
  if (answer.clearCookie !== undefined) reply.header('set-cookie', answer.clearCookie)
  return answer.kind === 'redirect'
    ? reply.redirect(answer.location, 303)
    : sendPage(reply, answer.status, problemPage(answer.page, options))
}
