import {
  agentToken,
  agentTokenList,
  createAgentTokenBody,
  createdAgentToken,
  keyIdParams,
  listAgentTokensQuery,
  noQuery,
  tokenZoneBody,
  tokenZoneParams,
} from '@nexus/contracts'
import type { ZodApp } from '@nexus/service'
import type { FastifyRequest } from 'fastify'
import { hubRoute } from '../http/access.ts'
import { type Manager, managerOf } from './authority.ts'
import { type ChangeTokenDeps, removeTokenZone, revokeToken, setTokenZone } from './change-token.ts'
import { getToken, listTokens } from './list-tokens.ts'
import { type MintDeps, mintToken } from './mint-token.ts'

export type AgentRouteDeps = MintDeps & ChangeTokenDeps

/** `/agent-tokens`: for operators, administrators, and holders of `x` within their zones. */
export function registerAgentRoutes(app: ZodApp, deps: AgentRouteDeps): void {
  const { database } = deps
  app.post(
    '/agent-tokens',
    {
      config: hubRoute,
      schema: {
        tags: ['agents'],
        summary: 'Mint a token, shown this once',
        querystring: noQuery,
        body: createAgentTokenBody,
        response: { 201: createdAgentToken },
      },
    },
    async (request, reply) => {
      const created = await mintToken(deps, readManager(request), request.body, request.origin)
      return reply.code(201).send(created)
    },
  )
  app.get(
    '/agent-tokens',
    {
      config: hubRoute,
      schema: {
        tags: ['agents'],
        summary: 'Tokens, newest first, without what they are used by',
        querystring: listAgentTokensQuery,
        response: { 200: agentTokenList },
      },
    },
    async (request) => listTokens(database, readManager(request), request.query),
  )
  const one = { tags: ['agents'], params: keyIdParams, querystring: noQuery, response: { 200: agentToken } }
  app.get('/agent-tokens/:key_id', { config: hubRoute, schema: { ...one, summary: 'One token' } }, async (request) =>
    getToken(database, readManager(request), request.params.key_id),
  )
  app.delete(
    '/agent-tokens/:key_id',
    { config: hubRoute, schema: { ...one, summary: 'Revoke a token: within about a second it opens nothing' } },
    async (request) => revokeToken(deps, readChange(request)),
  )
  registerZones(app, deps)
}

function registerZones(app: ZodApp, deps: AgentRouteDeps): void {
  const one = { tags: ['agents'], params: tokenZoneParams, querystring: noQuery, response: { 200: agentToken } }
  app.put(
    '/agent-tokens/:key_id/zones/:zone',
    {
      config: hubRoute,
      schema: { ...one, summary: 'Give a token a zone, or other permissions in one', body: tokenZoneBody },
    },
    async (request) => {
      const { zone } = request.params
      return setTokenZone(deps, readChange(request), { zone, permissions: request.body.permissions })
    },
  )
  app.delete(
    '/agent-tokens/:key_id/zones/:zone',
    { config: hubRoute, schema: { ...one, summary: 'Take a zone from a token, but not its last one' } },
    async (request) => removeTokenZone(deps, readChange(request), request.params.zone),
  )
}

/** Of a request to a hub route. */
export function readManager({ agent, callerKind }: Pick<FastifyRequest, 'agent' | 'callerKind'>): Manager {
  return managerOf(agent, callerKind === 'operator')
}

function readChange(
  request: Pick<FastifyRequest, 'agent' | 'callerKind' | 'origin'> & { readonly params: { readonly key_id: string } },
) {
  return { keyId: request.params.key_id, manager: readManager(request), origin: request.origin }
}
