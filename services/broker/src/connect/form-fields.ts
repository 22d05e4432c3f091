import { type CredentialField, compileCredentialSchema } from '../providers/credential-schema.ts'
import type { StaticProvider } from '../providers/provider.ts'

/**
 * The fields of a form, in the order of the schema's list `required`, then those that may be left out. A list keeps its
 * order in the database; the names of an object, in jsonb, do not.
 */
export function formFields({
  name,
  credentialSchema,
}: Pick<StaticProvider, 'name' | 'credentialSchema'>): readonly CredentialField[] {
  const compiled = compileCredentialSchema(credentialSchema)
  // it was compiled when it was saved
  if (compiled.kind === 'refused') throw new Error(`the credential schema of ${name} is not valid any more`)
  const { required } = credentialSchema
  const order: readonly unknown[] = Array.isArray(required) ? required : []
  const rank = (field: CredentialField): number =>
    order.includes(field.name) ? order.indexOf(field.name) : order.length
  return compiled.schema.fields.toSorted((a, b) => rank(a) - rank(b))
}
