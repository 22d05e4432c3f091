import {
  type Brand,
  type SafeHtml,
  type ZodApp,
  englishTexts,
  installFormParser,
  problemPage,
  sendPage,
} from '@nexus/service'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { z } from 'zod'
import type { CallbackAnswer } from '../handshake/callback-answer.ts'
import { type LinkAnswer, type OpenLinkDeps, isLinkOpen, openLink } from '../handshake/open-link.ts'
import { pageRoute } from '../http/access.ts'
import { compileSchemaOf } from '../providers/credential-schema.ts'
import type { Provider, StaticProvider } from '../providers/provider.ts'
import { type AssetRouteDeps, registerAssetRoutes } from './asset-routes.ts'
import { confirmPage } from './confirm-page.ts'
import { type FormRefusal, credentialFormPage } from './credential-form.ts'
import type { ConnectRequest } from './page-parts.ts'
import { isFromOwnOrigin } from './same-origin.ts'
import { type SubmitFormDeps, submitForm } from './submit-form.ts'

export type ConnectRouteDeps = OpenLinkDeps &
  SubmitFormDeps &
  AssetRouteDeps & {
    readonly brand: () => Brand
    /** Guards the public routes by client address. */
    readonly limitPublicRoutes: (request: FastifyRequest) => Promise<void>
  }

// a ticket is 43 characters of base64url; longer ones are not worth hashing
const ticketParams = z.strictObject({ ticket: z.string().min(1).max(64) })
const formLimit = 65_536
const texts = englishTexts

/** The link that a person opens, and the pages that come of it. */
export function registerConnectRoutes(app: ZodApp, deps: ConnectRouteDeps): void {
  registerAssetRoutes(app, deps)
  app.register(async (pages: ZodApp) => {
    pages.addHook('onRequest', deps.limitPublicRoutes)
    pages.get(
      '/auth/connect/:ticket',
      {
        config: pageRoute,
        schema: {
          tags: ['browser'],
          summary: 'The link a person opens; each opening is an attempt',
          params: ticketParams,
        },
      },
      async (request, reply) =>
        sendLink(deps, request, reply, await openLink(deps, request.params.ticket, request.headers.cookie)),
    )
    pages.register(async (forms: ZodApp) => {
      // a form is a form: nothing else is read here
      forms.removeAllContentTypeParsers()
      installFormParser(forms, { bodyLimit: formLimit })
      forms.post(
        '/auth/connect/:ticket',
        {
          config: pageRoute,
          schema: {
            tags: ['browser'],
            summary: 'What a person entered or confirmed on the page of the link',
            params: ticketParams,
            body: z.record(z.string(), z.string()),
          },
        },
        async (request, reply) => sendSubmitted(deps, request, reply),
      )
    })
  })
}

type Opened = FastifyRequest<{ Params: { ticket: string } }>

function sendLink(deps: ConnectRouteDeps, request: Opened, reply: FastifyReply, answer: LinkAnswer): FastifyReply {
  if (answer.kind === 'page') return sendProblem(deps, request, reply, answer)
  reply.header('set-cookie', answer.cookie)
  if (answer.kind === 'redirect') return reply.redirect(answer.location, 303)
  const facts = describeRequest(deps, request, answer)
  const page =
    answer.kind === 'confirm'
      ? confirmPage({ ...facts, scopes: answer.scopes }, texts)
      : credentialFormPage({ ...facts, fields: compileSchemaOf(answer.provider).fields }, texts)
  return sendForm(deps, reply, 200, page)
}

async function sendSubmitted(
  deps: ConnectRouteDeps,
  request: FastifyRequest<{ Params: { ticket: string }; Body: Record<string, string> }>,
  reply: FastifyReply,
): Promise<FastifyReply> {
  const form = {
    ticket: request.params.ticket,
    parameters: request.body,
    cookieHeader: request.headers.cookie,
    isFromOwnOrigin: isFromOwnOrigin(request.headers, deps.redirectUri.baseUrl),
  }
  const answer = await submitForm(deps, form, request.origin)
  if (answer.kind === 'form') return sendRefused(deps, request, reply, answer)
  if (answer.clearCookie !== undefined) reply.header('set-cookie', answer.clearCookie)
  return answer.kind === 'redirect'
    ? reply.redirect(answer.location, 303)
    : sendProblem(deps, request, reply, await findReopenable(deps, request.params.ticket, answer))
}

type Refused = {
  readonly provider: StaticProvider
  readonly state: string
  readonly returnUrl: string | undefined
  readonly refusal: FormRefusal
}

function sendRefused(deps: ConnectRouteDeps, request: Opened, reply: FastifyReply, refused: Refused): FastifyReply {
  const { provider, refusal } = refused
  const facts = describeRequest(deps, request, refused)
  const status = refusal.kind === 'not_verifiable' ? 502 : 422
  return sendForm(
    deps,
    reply,
    status,
    credentialFormPage({ ...facts, fields: compileSchemaOf(provider).fields, refusal }, texts),
  )
}

function describeRequest(
  { brand }: ConnectRouteDeps,
  { params }: Opened,
  facts: {
    readonly provider: Pick<Provider, 'displayName' | 'description'>
    readonly state: string
    readonly returnUrl: string | undefined
  },
): ConnectRequest {
  return {
    brand: brand(),
    providerName: facts.provider.displayName,
    providerDescription: facts.provider.description,
    action: linkPath(params.ticket),
    state: facts.state,
    returnUrl: facts.returnUrl,
  }
}

function linkPath(ticket: string): string {
  return `/auth/connect/${encodeURIComponent(ticket)}`
}

/** The redirect that follows leads to a provider or to an app, and browsers hold it against the form's policy (H9). */
function sendForm(deps: ConnectRouteDeps, reply: FastifyReply, status: number, page: SafeHtml): FastifyReply {
  const isPlain = deps.redirectUri.baseUrl.startsWith('http:')
  return sendPage(reply, status, page, { formAction: isPlain ? "'self' https: http:" : "'self' https:" })
}

type ProblemAnswer = Extract<CallbackAnswer, { readonly kind: 'page' }> & { readonly isReopenable?: boolean }

/** The link lives longer than its pages: while it does, whoever was too late or came from another browser may begin anew. */
async function findReopenable(
  { database }: ConnectRouteDeps,
  ticket: string,
  answer: Extract<CallbackAnswer, { readonly kind: 'page' }>,
): Promise<ProblemAnswer> {
  const isTooLate = answer.page === 'expired-link'
  if (!isTooLate && answer.page !== 'wrong-browser') return answer
  if (!(await isLinkOpen(database, ticket))) return answer
  return { ...answer, page: isTooLate ? 'expired-page' : answer.page, isReopenable: true }
}

function sendProblem(
  { brand }: ConnectRouteDeps,
  { id, params }: Opened,
  reply: FastifyReply,
  answer: ProblemAnswer,
): FastifyReply {
  const openAgain = answer.isReopenable === true ? linkPath(params.ticket) : undefined
  return sendPage(reply, answer.status, problemPage(answer.page, { requestId: id, brand: brand(), openAgain }))
}
