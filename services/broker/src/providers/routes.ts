import {
  aliasParams,
  clientSecretCandidate,
  clientSecretMatches,
  createProviderBody,
  createdProvider,
  idParams,
  line,
  noQuery,
  patchProviderBody,
  providerDisconnecting,
  providerList,
  providerMetadata,
  providerPreview,
  providerProfile,
  removeProviderQuery,
  replaceProviderBody,
} from '@nexus/contracts'
import type { ZodApp } from '@nexus/service'
import { z } from 'zod'
import type { Origin } from '../audit/audit-event.ts'
import { catalogueRoute, operatorRoute } from '../http/access.ts'
import { type CompareSecretDeps, compareClientSecret } from './compare-client-secret.ts'
import { findProviderById, findProviderByName, listProviders, readProviderMetadata } from './list-providers.ts'
import { addAlias, patchProvider, removeAlias } from './patch-provider.ts'
import { previewProvider } from './preview-provider.ts'
import { toProfileBody } from './profile-settings.ts'
import { type Provider, isStatic } from './provider.ts'
import { type RedirectUriSettings, redirectUriOf } from './redirect-uri.ts'
import { type Removal, removeProvider, removeProviderByName } from './remove-provider.ts'
import { type SaveProviderDeps, type SavedProvider, registerProvider, replaceProvider } from './save-provider.ts'

export type ProviderRouteDeps = SaveProviderDeps & CompareSecretDeps & { readonly redirectUri: RedirectUriSettings }

const nameParams = z.strictObject({ name: line(64) })

/** `/providers`: what operators manage, and what the Gateway may list. */
export function registerProviderRoutes(app: ZodApp, deps: ProviderRouteDeps): void {
  registerReading(app, deps)
  registerComparing(app, deps)
  registerChanging(app, deps)
  registerRemoving(app, deps)
}

function registerReading(app: ZodApp, deps: ProviderRouteDeps): void {
  const { database } = deps
  app.get(
    '/providers',
    {
      config: catalogueRoute,
      schema: {
        tags: ['providers'],
        summary: 'Names and ids of all profiles',
        querystring: noQuery,
        response: { 200: providerList },
      },
    },
    async ({ agent }) => (await listProviders(database, agent)).map(({ id, name }) => ({ id, name })),
  )
  app.get(
    '/providers/metadata',
    {
      config: catalogueRoute,
      schema: {
        tags: ['providers'],
        summary: 'What agents may know of each profile',
        querystring: noQuery,
        response: { 200: providerMetadata },
      },
    },
    async ({ agent }) => readProviderMetadata(database, agent),
  )
  app.get(
    '/providers/:id',
    {
      config: operatorRoute,
      schema: {
        tags: ['providers'],
        summary: 'One profile, without its secret',
        params: idParams,
        querystring: noQuery,
        response: { 200: providerProfile },
      },
    },
    async ({ params }) => profileBody(deps, await findProviderById(database, params.id)),
  )
  app.get(
    '/providers/by-name/:name',
    {
      config: operatorRoute,
      schema: {
        tags: ['providers'],
        summary: 'One profile by name or alias',
        params: nameParams,
        querystring: noQuery,
        response: { 200: providerProfile },
      },
    },
    async ({ params }) => profileBody(deps, await findProviderByName(database, params.name)),
  )
}

/** For whoever keeps profiles elsewhere, and wants to know what differs: nothing here changes one. */
function registerComparing(app: ZodApp, deps: ProviderRouteDeps): void {
  app.post(
    '/providers/preview',
    {
      config: operatorRoute,
      schema: {
        tags: ['providers'],
        summary: 'What a profile would be, registered or in place of the one of its name; nothing is saved',
        querystring: noQuery,
        body: replaceProviderBody,
        response: { 200: providerPreview },
      },
    },
    async ({ body }) => {
      const { current, next, missingZones } = await previewProvider(deps, body)
      return {
        current: current === undefined ? null : profileBody(deps, current),
        next: profileBody(deps, next),
        missing_zones: [...missingZones],
      }
    },
  )
  app.post(
    '/providers/:id/client-secret-matches',
    {
      config: operatorRoute,
      schema: {
        tags: ['providers'],
        summary: 'Whether this is the client secret, which nobody can read back; a few times a minute',
        params: idParams,
        querystring: noQuery,
        body: clientSecretCandidate,
        response: { 200: clientSecretMatches },
      },
    },
    async ({ params, body, origin }) => ({
      client_secret_matches: await compareClientSecret(deps, params.id, body.client_secret, origin),
    }),
  )
}

function registerChanging(app: ZodApp, deps: ProviderRouteDeps): void {
  app.post(
    '/providers',
    {
      config: operatorRoute,
      schema: {
        tags: ['providers'],
        summary: 'Register a profile',
        querystring: noQuery,
        body: createProviderBody,
        response: { 201: createdProvider },
      },
    },
    async ({ body, origin }, reply) => {
      const saved = await registerProvider(deps, 'profile' in body ? body.profile : body, origin)
      return reply.code(201).send(createdBody(deps, saved))
    },
  )
  const changing = { params: idParams, querystring: noQuery, response: { 200: providerProfile } }
  app.put(
    '/providers/:id',
    {
      config: operatorRoute,
      schema: {
        tags: ['providers'],
        summary: 'Replace a profile; an omitted secret is kept',
        ...changing,
        body: replaceProviderBody,
      },
    },
    async ({ params, body, origin }) =>
      profileBody(deps, (await replaceProvider(deps, params.id, body, origin)).provider),
  )
  app.patch(
    '/providers/:id',
    {
      config: operatorRoute,
      schema: {
        tags: ['providers'],
        summary: 'Change fields of a profile; null takes one back to its default',
        ...changing,
        body: patchProviderBody,
      },
    },
    async ({ params, body, origin }) =>
      profileBody(deps, (await patchProvider(deps, params.id, body, origin)).provider),
  )
  const aliasing = {
    tags: ['providers'],
    summary: 'Add or take away another name',
    params: aliasParams,
    querystring: noQuery,
    response: { 200: providerProfile },
  }
  app.put('/providers/:id/aliases/:alias', { config: operatorRoute, schema: aliasing }, async ({ params, origin }) =>
    profileBody(deps, (await addAlias(deps, params.id, params.alias, origin)).provider),
  )
  app.delete('/providers/:id/aliases/:alias', { config: operatorRoute, schema: aliasing }, async ({ params, origin }) =>
    profileBody(deps, (await removeAlias(deps, params.id, params.alias, origin)).provider),
  )
}

function registerRemoving(app: ZodApp, deps: ProviderRouteDeps): void {
  const removing = {
    tags: ['providers'],
    querystring: removeProviderQuery,
    response: { 202: providerDisconnecting, 204: z.null() },
  }
  app.delete(
    '/providers/:id',
    {
      config: operatorRoute,
      schema: { ...removing, summary: 'Remove a profile; its connections keep working unless asked', params: idParams },
    },
    async ({ params, query, origin }, reply) => {
      const removed = await removeProvider(deps, params.id, toRemoval(query, origin))
      return removed.disconnecting ? reply.code(202).send(removed.disconnecting) : reply.code(204).send(null)
    },
  )
  app.delete(
    '/providers/by-name/:name',
    {
      config: operatorRoute,
      schema: { ...removing, summary: 'Remove a profile by name or alias', params: nameParams },
    },
    async ({ params, query, origin }, reply) => {
      const removed = await removeProviderByName(deps, params.name, toRemoval(query, origin))
      return removed.disconnecting ? reply.code(202).send(removed.disconnecting) : reply.code(204).send(null)
    },
  )
}

function toRemoval({ disconnect }: z.infer<typeof removeProviderQuery>, origin: Origin): Removal {
  return { origin, disconnects: disconnect === 'true' }
}

function profileBody(deps: ProviderRouteDeps, provider: Provider) {
  return toProfileBody(provider, findRedirectUri(deps, provider))
}

/** undefined where nobody is sent to the provider. */
function findRedirectUri(deps: ProviderRouteDeps, provider: Provider): string | undefined {
  return isStatic(provider) ? undefined : redirectUriOf(provider, deps.redirectUri)
}

function createdBody(deps: ProviderRouteDeps, { provider, note }: SavedProvider) {
  const redirectUri = findRedirectUri(deps, provider)
  const advice = redirectUri === undefined ? undefined : `Register this redirect URI with it: ${redirectUri}`
  const message = [`Provider ${provider.name} saved.`, advice, note].filter((part) => part !== undefined).join(' ')
  return { id: provider.id, message, redirect_uri: redirectUri ?? null }
}
