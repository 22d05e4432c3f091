import { type CredentialField, compileSchemaOf } from '../providers/credential-schema.ts'
import type { StaticProvider } from '../providers/provider.ts'

/** The fields of a form, in the order of the schema. */
export function formFields(
  provider: Pick<StaticProvider, 'name' | 'credentialSchema' | 'strategy'>,
): readonly CredentialField[] {
  return compileSchemaOf(provider).fields
}
