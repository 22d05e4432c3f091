import { type CredentialField, compileCredentialSchema } from '../providers/credential-schema.ts'
import type { StaticProvider } from '../providers/provider.ts'
import { fieldsOf } from '../providers/static-strategy.ts'

/**
 * The fields of a form, in the order in which a person expects them: first those the strategy reads, user name before
 * password; then the others, what must be given first. The schema's own order is lost: jsonb keeps none.
 */
export function formFields({ name, credentialSchema, strategy }: StaticProvider): readonly CredentialField[] {
  const compiled = compileCredentialSchema(credentialSchema)
  // it was compiled when it was saved
  if (compiled.kind === 'refused') throw new Error(`the credential schema of ${name} is not valid any more`)
  const { fields } = compiled.schema
  const first = fieldsOf(strategy)
  const rank = ({ name: field, isRequired }: CredentialField): number => {
    const place = first.indexOf(field)
    return place >= 0 ? place : first.length + (isRequired ? 0 : 1)
  }
  return fields.toSorted((a, b) => rank(a) - rank(b))
}
