import type { providerMetadata } from '@nexus/contracts'
import type { z } from 'zod'
import { type Agent, zonesSeenBy } from '../agents/agent.ts'
import type { Queryable } from '../db/database.ts'
import type { Provider } from './provider.ts'
import { providerNotFound, requireProvider } from './save-provider.ts'
import * as store from './store.ts'

/** What agents may know of each profile to choose one and to call its API, by auth_type and name. */
export async function readProviderMetadata(
  database: Queryable,
  agent: Agent,
): Promise<z.infer<typeof providerMetadata>> {
  const grouped: z.infer<typeof providerMetadata> = {}
  for (const provider of await listProviders(database, agent)) {
    const group = (grouped[provider.authType] ??= {})
    group[provider.name] = {
      id: provider.id,
      api_base_url: provider.apiBaseUrl ?? null,
      user_info_endpoint: provider.userInfoEndpoint ?? null,
      scopes: [...provider.scopes],
      description: provider.description ?? null,
      category: provider.category ?? null,
    }
  }
  return grouped
}

/** Those that are there for one of its zones: others are nobody's business. */
export async function listProviders(database: Queryable, agent: Agent): Promise<readonly Provider[]> {
  const zones = zonesSeenBy(agent)
  const all = await store.selectProviders(database)
  return zones === undefined ? all : all.filter((provider) => isOfZone(provider, zones))
}

/** A profile that names no zones is everybody's. */
function isOfZone(provider: Provider, zones: readonly string[]): boolean {
  return provider.zones.length === 0 || provider.zones.some((zone) => zones.includes(zone))
}

/** By name or alias, case-insensitively. @throws AppError `provider_not_found` */
export async function findProviderByName(database: Queryable, name: string): Promise<Provider> {
  const provider = await store.selectProviderByName(database, name)
  if (provider === undefined) throw providerNotFound()
  return provider
}

/** @throws AppError `provider_not_found` */
export function findProviderById(database: Queryable, id: string): Promise<Provider> {
  return requireProvider(database, id)
}

/** undefined: it was removed, or never was. */
export function findLivingProvider(database: Queryable, id: string): Promise<Provider | undefined> {
  return store.selectProviderById(database, id)
}

/** The profile a handshake asks for, if its zone may use it. @throws AppError `provider_not_found` */
export async function findProviderForHandshake(
  database: Queryable,
  wanted: { readonly provider_id?: string | undefined; readonly provider_name?: string | undefined },
  zone: string,
): Promise<Provider> {
  const provider =
    wanted.provider_id === undefined
      ? await store.selectProviderByName(database, wanted.provider_name ?? '')
      : await store.selectProviderById(database, wanted.provider_id)
  // a profile of other zones answers like one that does not exist (C4)
  if (provider === undefined || !isOfZone(provider, [zone])) throw providerNotFound()
  return provider
}
