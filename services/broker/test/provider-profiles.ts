import type { ProviderProfile } from '@nexus/contracts'
import { type Answer, type Client, registerProfile } from './harness.ts'

type Fields = Readonly<Record<string, unknown>>

let made = 0

/** A profile under a name of its own, with endpoints that nobody asks. */
export function profile(fields: Fields = {}): Fields & { readonly name: string } {
  made += 1
  return {
    name: `acme-${made}`,
    auth_url: 'http://127.0.0.1:9/authorize',
    token_url: 'http://127.0.0.1:9/token',
    client_id: 'client',
    client_secret: 'secret-of-acme',
    scopes: ['read'],
    ...fields,
  }
}

/** Saves such a profile and gives what the Broker says of it. */
export async function createProfile(broker: Client, fields: Fields = {}): Promise<ProviderProfile> {
  const { providerId } = await registerProfile(broker, profile(fields))
  return readProfile(broker, providerId)
}

export async function readProfile(broker: Client, id: string): Promise<ProviderProfile> {
  return (await broker.get<ProviderProfile>(`/providers/${id}`)).body
}

export function changeProfile(
  broker: Client,
  method: 'PUT' | 'PATCH',
  id: string,
  body: unknown,
): Promise<Answer<ProviderProfile>> {
  return broker.send(method, `/providers/${id}`, { body })
}
