import { AppError } from '@nexus/service'
import type { CredentialFault } from '../providers/credential-schema.ts'

/** What `details.fields` of a refusal says of one field. */
type FieldProblem = { readonly field: string; readonly rule: string; readonly message: string }

const wholeName = 'credentials'
const reportedFaults = 50

/**
 * The refusal of credentials that do not fit their schema, for front ends that draw their own form: each field with the
 * rule that it breaks, in the words of JSON Schema, and a sentence for the developer. A value is repeated nowhere.
 */
export function invalidCredentials(faults: readonly CredentialFault[]): AppError {
  const fields = faults.slice(0, reportedFaults).map(describeFault)
  const [first] = fields
  const message = first === undefined ? 'The credentials are not valid' : `${first.field}: ${first.message}`
  return new AppError('invalid_credentials', message, { details: { fields } })
}

function describeFault({ field = wholeName, rule, limit }: CredentialFault): FieldProblem {
  const message = limit === undefined ? messages[rule] : bounds[rule]?.(limit)
  return { field, rule, message: message ?? 'is not valid' }
}

const messages: Readonly<Record<string, string>> = {
  required: 'is missing',
  type: 'is of the wrong type',
  pattern: 'does not have the expected form',
  enum: 'must be one of the choices',
  oneOf: 'must be one of the choices',
  additionalProperties: 'is not asked for',
  header_value: 'must consist of printable ASCII characters: it is sent in a header',
  username_colon: 'must not contain a colon',
  single_line: 'must be a single line without control characters',
}

const bounds: Readonly<Record<string, (limit: number) => string>> = {
  minLength: (limit) => `must have at least ${limit} characters`,
  maxLength: (limit) => `must have at most ${limit} characters`,
  minimum: (limit) => `must be at least ${limit}`,
  maximum: (limit) => `must be at most ${limit}`,
  exclusiveMinimum: (limit) => `must be more than ${limit}`,
  exclusiveMaximum: (limit) => `must be less than ${limit}`,
}
