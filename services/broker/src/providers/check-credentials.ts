import type { CredentialValue } from '@nexus/contracts'
import { type CredentialFault, compileCredentialSchema } from './credential-schema.ts'
import type { StaticProvider } from './provider.ts'

export type CheckedCredentials =
  | { readonly kind: 'valid'; readonly credentials: Readonly<Record<string, CredentialValue>> }
  | { readonly kind: 'faulty'; readonly faults: readonly CredentialFault[] }

/** Checks what was typed in against the profile's schema: what it does not name is a fault too. */
export function checkCredentials(
  provider: StaticProvider,
  typed: Readonly<Record<string, unknown>>,
): CheckedCredentials {
  const compiled = compileCredentialSchema(provider.credentialSchema)
  // it was compiled when it was saved
  if (compiled.kind === 'refused') throw new Error(`the credential schema of ${provider.name} is not valid any more`)
  const faults = compiled.schema.check(typed)
  if (faults.length > 0) return { kind: 'faulty', faults }
  return { kind: 'valid', credentials: Object.fromEntries(Object.entries(typed).filter(isCredential)) }
}

function isCredential(entry: [string, unknown]): entry is [string, CredentialValue] {
  return ['string', 'number', 'boolean'].includes(typeof entry[1])
}
