import type { OAuthProvider } from '../providers/provider.ts'
import type { ProviderEndpoints } from './provider-client.ts'

/** Whose ID tokens are believed: one issuer, or every tenant of a template. It comes from the profile alone (P2). */
export type IssuerRule =
  | { readonly kind: 'exact'; readonly issuer: string }
  | { readonly kind: 'template'; readonly template: string; readonly allowedTenants: readonly string[] }

type IssuerFields = Pick<OAuthProvider, 'issuer' | 'issuerTemplate' | 'allowedTenants'>

const tenantMark = '{tenantid}'

/** The rule of a profile; undefined where it names no issuer, so that no ID token can be believed. */
export function findIssuerRule(provider: IssuerFields): IssuerRule | undefined {
  const { issuer, issuerTemplate: template, allowedTenants } = provider
  if (template !== undefined) return { kind: 'template', template, allowedTenants }
  return issuer === undefined ? undefined : { kind: 'exact', issuer }
}

/**
 * Whether verified claims come from an expected issuer, compared character by character (OIDC Core §3.1.3.7, 2).
 * In a template the tenant is the token's own `tid`, which the signature covers.
 */
export function isExpectedIssuer(rule: IssuerRule, iss: unknown, tid: unknown): boolean {
  if (rule.kind === 'exact') return iss === rule.issuer
  if (typeof tid !== 'string' || !/^[A-Za-z0-9.-]{1,128}$/.test(tid)) return false
  return iss === rule.template.replaceAll(tenantMark, tid) && isAllowedTenant(rule.allowedTenants, tid)
}

/**
 * What is wrong with the `iss` parameter of an authorization response (RFC 9207 §2.4; H6); undefined when nothing is.
 * Without an issuer in the profile a response `iss` says nothing that could be compared, and is ignored (P3).
 */
export function findResponseIssuerFault(
  provider: IssuerFields,
  endpoints: Pick<ProviderEndpoints, 'promisesIss'>,
  iss: string | undefined,
): 'missing' | 'mismatch' | undefined {
  if (iss === undefined) return endpoints.promisesIss ? 'missing' : undefined
  const rule = findIssuerRule(provider)
  if (rule === undefined || (rule.kind === 'exact' && iss === rule.issuer)) return undefined
  if (rule.kind === 'exact') return 'mismatch'
  return isExpectedIssuer(rule, iss, readTenant(rule.template, iss)) ? undefined : 'mismatch'
}

/** The tenant that would make the template this issuer. */
function readTenant(template: string, iss: string): string | undefined {
  const [before = '', after] = template.split(tenantMark)
  if (after === undefined || !iss.startsWith(before) || iss.length <= before.length + after.length) return undefined
  return iss.slice(before.length, iss.length - after.length)
}

function isAllowedTenant(allowed: readonly string[], tid: string): boolean {
  return allowed.length === 0 || allowed.some((tenant) => tenant.toLowerCase() === tid.toLowerCase())
}
