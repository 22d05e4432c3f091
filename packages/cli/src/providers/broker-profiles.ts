import { httpUrl, readConfig, text } from '@nexus/config'
import {
  type ProviderPreview,
  type ProviderProfile,
  type ProviderProfileInput,
  clientSecretMatches,
  createdProvider,
  providerList,
  providerPreview,
  providerProfile,
} from '@nexus/contracts'
import { z } from 'zod'
import type { CliIo } from '../io.ts'
import { createJsonApi } from '../json-api.ts'

/** The profiles of a Broker, as its operator meets them. Every function throws as JsonApi does. */
export type BrokerProfiles = {
  readonly list: () => Promise<readonly { readonly id: string; readonly name: string }[]>
  readonly get: (id: string) => Promise<ProviderProfile>
  readonly preview: (input: ProviderProfileInput) => Promise<ProviderPreview>
  readonly secretMatches: (id: string, candidate: string) => Promise<boolean>
  readonly create: (input: ProviderProfileInput) => Promise<{ readonly redirect_uri: string | null }>
  /** Refused if the profile has another revision meanwhile. */
  readonly replace: (id: string, revision: number, input: ProviderProfileInput) => Promise<ProviderProfile>
  readonly remove: (id: string) => Promise<void>
}

const settings = z.object({ BROKER_BASE_URL: httpUrl(), ADMIN_API_KEY: text() })

/** The Broker takes whoever shows `API_KEY` for a Gateway, and asks for the agent it speaks for. */
const refusals = { missing_bearer_token: "ADMIN_API_KEY holds the Broker's API_KEY: profiles take its ADMIN_API_KEY" }

/** By `BROKER_BASE_URL` and `ADMIN_API_KEY`. @throws ConfigError */
export function openBrokerProfiles({ env, fetch, signal }: CliIo): BrokerProfiles {
  const { BROKER_BASE_URL: baseUrl, ADMIN_API_KEY: key } = readConfig(settings, env)
  const headers = { 'x-api-key': key }
  const { send } = createJsonApi({ baseUrl, name: 'the Broker', headers, fetch, signal, refusals })
  return {
    list: () => send('GET', '/providers', providerList),
    get: (id) => send('GET', `/providers/${id}`, providerProfile),
    preview: (body) => send('POST', '/providers/preview', providerPreview, { body }),
    async secretMatches(id, candidate) {
      const path = `/providers/${id}/client-secret-matches`
      const answer = await send('POST', path, clientSecretMatches, { body: { client_secret: candidate } })
      return answer.client_secret_matches
    },
    create: (body) => send('POST', '/providers', createdProvider, { body }),
    replace: (id, revision, input) =>
      send('PUT', `/providers/${id}`, providerProfile, { body: { ...input, revision } }),
    remove: async (id) => void (await send('DELETE', `/providers/${id}`, z.unknown())),
  }
}
