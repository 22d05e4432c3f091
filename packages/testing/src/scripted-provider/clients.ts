import { timingSafeEqual } from 'node:crypto'
import type { RecordedRequest } from './exchange.ts'

export type AuthMethod = 'client_secret_basic' | 'client_secret_post' | 'none'

/** A registered OAuth client. */
export type ScriptedClient = {
  readonly clientId: string
  /** Left out for a public client. */
  readonly clientSecret?: string
  readonly redirectUris: readonly string[]
  /** Which way it must authenticate. Default: basic or post; `none` without a secret. */
  readonly authMethods?: readonly AuthMethod[]
}

export type Authentication = { readonly client: ScriptedClient } | { readonly fault: string }

/** Identifies and authenticates the client of a token or revocation request (RFC 6749 §2.3). */
export function authenticateClient(
  clients: ReadonlyMap<string, ScriptedClient>,
  { headers, form }: RecordedRequest,
): Authentication {
  const basic = readBasic(headers.authorization)
  const posted = form.get('client_secret')
  if (basic !== undefined && posted !== null) return { fault: 'the client authenticates in two ways at once' }
  const clientId = basic?.clientId ?? form.get('client_id')
  if (basic !== undefined && form.has('client_id') && form.get('client_id') !== basic.clientId) {
    return { fault: 'client_id differs between header and body' }
  }
  const client = clientId === null ? undefined : clients.get(clientId)
  if (client === undefined) return { fault: `unknown client ${clientId ?? '(none given)'}` }
  const method = basic !== undefined ? 'client_secret_basic' : posted !== null ? 'client_secret_post' : 'none'
  if (!allowedMethods(client).includes(method)) return { fault: `${client.clientId} may not authenticate by ${method}` }
  const secret = basic?.clientSecret ?? posted ?? undefined
  return method === 'none' || isEqual(secret, client.clientSecret) ? { client } : { fault: 'wrong client secret' }
}

function allowedMethods(client: ScriptedClient): readonly AuthMethod[] {
  return (
    client.authMethods ?? (client.clientSecret === undefined ? ['none'] : ['client_secret_basic', 'client_secret_post'])
  )
}

/** Both halves are form-encoded before they become base64 (RFC 6749 §2.3.1). */
function readBasic(header: string | undefined): { clientId: string; clientSecret: string } | undefined {
  const encoded = /^Basic ([\w+/=-]+)$/i.exec(header ?? '')?.[1]
  if (encoded === undefined) return undefined
  const [clientId = '', ...secret] = Buffer.from(encoded, 'base64').toString().split(':')
  return { clientId: decodeForm(clientId), clientSecret: decodeForm(secret.join(':')) }
}

function decodeForm(value: string): string {
  return decodeURIComponent(value.replaceAll('+', ' '))
}

function isEqual(a: string | undefined, b: string | undefined): boolean {
  if (a === undefined || b === undefined) return false
  const [left, right] = [Buffer.from(a), Buffer.from(b)]
  return left.length === right.length && timingSafeEqual(left, right)
}
