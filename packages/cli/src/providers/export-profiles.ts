import { isDeepStrictEqual } from 'node:util'
import { type ProviderProfile, providerProfileInput } from '@nexus/contracts'
import { Document } from 'yaml'
import type { BrokerProfiles } from './broker-profiles.ts'
import { escapeVariables } from './expand-variables.ts'

type Fields = Readonly<Record<string, unknown>>

const heading = ` Provider profiles of Nexus: nexus providers plan|apply --file <this file>
 Secrets are not in it: give them in the variables that it names.`

/**
 * The Broker's profiles as a file that means just them: what is at its default is left out, and in the place of a client
 * secret stands the variable that is to hold it.
 */
export async function exportProfiles(broker: BrokerProfiles): Promise<string> {
  const providers: Fields[] = []
  for (const { id } of await broker.list()) providers.push(await exportProfile(broker, await broker.get(id)))
  const document = new Document({ providers })
  document.commentBefore = heading
  return document.toString({ lineWidth: 0 })
}

async function exportProfile(broker: BrokerProfiles, profile: ProviderProfile): Promise<Fields> {
  const fields = escapeAll(withoutDefaults(profile))
  const whole = profile.auth_type === 'oauth2' ? fields : await withCredentials(broker, profile, fields)
  const secret = profile.has_client_secret ? { client_secret: `\${${variableOf(profile.name)}}` } : {}
  return inOrder({ ...whole, ...secret })
}

function variableOf(name: string): string {
  return `${name
    .replaceAll('-', '_')
    .toUpperCase()
    .replace(/^(?=\d)/, '_')}_CLIENT_SECRET`
}

const { name: _, client_id: __, client_secret: ___, ...others } = providerProfileInput.shape
const order = ['name', 'auth_type', 'client_id', 'client_secret', ...Object.keys(others)]

function inOrder(fields: Fields): Fields {
  return Object.fromEntries([...new Set(order)].flatMap((name) => (name in fields ? [[name, fields[name]]] : [])))
}

/** Defaults that are the same for every profile. A default that is missing here only makes the file longer. */
const defaults: Fields = {
  auth_type: 'oauth2',
  id_token_signed_response_alg: 'RS256',
  scope_separator: ' ',
  enforce_scopes: true,
  expose_id_token: false,
  pkce: 'required',
  refresh_reuse: 'refuses',
  revocation: 'grant',
  confirm: false,
  verify: 'best_effort',
}

const parameterDefaults: Fields = { skip_scope_on_auth: false, skip_scope_on_exchange: true }

/** What somebody would have written. `distinct_redirect_uri` stays: it decides the URI that the provider knows. */
function withoutDefaults(profile: ProviderProfile): Fields {
  const { display_name: displayName, enable_discovery: discovers, params = {}, ...rest } = profile
  const ownParams = dropEmpty(dropEqual(params, parameterDefaults))
  const fields = {
    ...rest,
    display_name: displayName === profile.name ? undefined : displayName,
    enable_discovery:
      discovers === (profile.issuer !== undefined && profile.token_url === undefined) ? undefined : discovers,
    params: ownParams,
  }
  const known = Object.entries(dropEqual(fields, defaults)).filter(([name]) => name in providerProfileInput.shape)
  return dropEmpty(Object.fromEntries(known))
}

/** Static credentials: how they are used, and what people are asked for unless that follows from it. */
async function withCredentials(broker: BrokerProfiles, profile: ProviderProfile, fields: Fields): Promise<Fields> {
  const { strategy, credential_schema: schema, auth_type: authType } = profile
  const usual = authType === 'api_key' ? 'header' : authType
  const use = strategy?.type === usual ? strategy?.config : { auth_strategy: strategy }
  const short = { ...fields, params: use === undefined ? {} : escapeAll(use) }
  const isBuiltIn = await broker.preview(providerProfileInput.parse(short)).then(
    ({ next }) => isDeepStrictEqual(next.credential_schema, schema),
    () => false,
  )
  return isBuiltIn ? short : { ...short, params: { ...short.params, credential_schema: escapeAll(schema ?? {}) } }
}

function dropEqual(fields: Fields, usual: Fields): Fields {
  return Object.fromEntries(Object.entries(fields).filter(([name, value]) => !(name in usual) || usual[name] !== value))
}

function dropEmpty(fields: Fields): Fields {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => !isEmpty(value)))
}

function isEmpty(value: unknown): boolean {
  return value === undefined || value === null || (typeof value === 'object' && Object.keys(value).length === 0)
}

function escapeAll(fields: Fields): Record<string, unknown> {
  return Object.fromEntries(Object.entries(fields).map(([name, value]) => [name, escapeValue(value)]))
}

function escapeValue(value: unknown): unknown {
  if (typeof value === 'string') return escapeVariables(value)
  if (Array.isArray(value)) return value.map(escapeValue)
  return typeof value === 'object' && value !== null ? escapeAll({ ...value }) : value
}
