import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import type { Server } from 'node:http'
import type { Access } from '../src/http/access.ts'
import type { FastifyInstance, RouteOptions } from 'fastify'

/** Collects every route and server of the Fastify instances made while `work` runs: the router's own list, not ours. */
export async function collectRoutes<Result>(
  work: () => Promise<Result>,
): Promise<{ readonly result: Result; readonly routes: readonly RouteOptions[]; readonly servers: readonly Server[] }> {
  const routes: RouteOptions[] = []
  const servers: Server[] = []
  const onInitialization = (message: unknown): void => {
    const { fastify } = message as { readonly fastify: FastifyInstance }
    servers.push(fastify.server)
    fastify.addHook('onRoute', (route) => void routes.push(route))
  }
  subscribe('fastify.initialization', onInitialization)
  try {
    return { result: await work(), routes, servers }
  } finally {
    unsubscribe('fastify.initialization', onInitialization)
  }
}

export type ListedRoute = {
  readonly method: string
  readonly pattern: string
  /** The pattern with plausible parameters filled in. */
  readonly path: string
  readonly access: Access | 'public' | undefined
}

const parameters: Readonly<Record<string, string>> = {
  ':id': '019ab000-0000-7000-8000-00000000dead',
  ':ticket': 'x'.repeat(43),
  ':name': 'nobody',
  ':alias': 'nobody',
  ':key_id': '019ab000-0000-7000-8000-00000000dead',
  ':zone': 'nowhere',
  ':provider': 'nobody',
}

export function listRoutes(routes: readonly RouteOptions[]): readonly ListedRoute[] {
  return routes.flatMap(({ method, url, config }) =>
    [method].flat().map((one) => ({
      method: one,
      pattern: url,
      path: url.replaceAll(/:\w+/g, (name) => parameters[name] ?? name),
      access: config?.public === true ? 'public' : config?.access,
    })),
  )
}
