import { hasZodFastifySchemaValidationErrors } from 'fastify-type-provider-zod'
import { AppError } from './app-error.ts'

export type FieldFault = { readonly field: string; readonly problem: string }

/** What a fault is called that concerns a part of the request as a whole. */
const partNames: Readonly<Record<string, string>> = {
  body: 'body',
  querystring: 'query',
  params: 'path',
  headers: 'headers',
}

const reportedFaults = 20
const reportedLength = 200

/**
 * Turns a refused request into `invalid_request`: names the fields and what is wrong with each, never their values.
 * Undefined if the error is not one of validation.
 */
export function readValidationError(error: unknown): AppError | undefined {
  if (!hasZodFastifySchemaValidationErrors(error)) return undefined
  const whole = partNames[error.validationContext ?? 'body'] ?? 'body'
  const faults = error.validation
    .flatMap((issue) => describeIssue(toIssue(issue)))
    .map(({ field, problem }) => (field === '' ? nameWhole(whole, problem) : { field, problem: sayMissing(problem) }))
    .slice(0, reportedFaults)
    .map(({ field, problem }) => ({ field: cut(field), problem: cut(problem) }))
  const first = faults[0]
  const message = first === undefined ? 'The request is not valid' : `${first.field}: ${first.problem}`
  return new AppError('invalid_request', message, { details: { fields: faults } })
}

function nameWhole(whole: string, problem: string): FieldFault {
  const isAbsent = whole === 'body' && /received (?:null|undefined)$/.test(problem)
  return { field: whole, problem: isAbsent ? 'is missing: send JSON, {} at least, as application/json' : problem }
}

/** The validator tells of a missing field as of one with a value of another kind. */
function sayMissing(problem: string): string {
  return problem.endsWith('received undefined') ? 'is missing' : problem
}

type Issue = {
  readonly path: readonly PropertyKey[]
  readonly message: string
  readonly keys: readonly string[]
  /** Of a union: the issues of each branch. */
  readonly branches: readonly (readonly Issue[])[]
}

function describeIssue(issue: Issue): readonly FieldFault[] {
  if (issue.keys.length > 0) {
    return issue.keys.map((key) => ({ field: fieldName([...issue.path, key]), problem: 'unknown field' }))
  }
  const nearest = nearestBranch(issue)
  if (nearest !== undefined) {
    return nearest.flatMap((inner) => describeIssue({ ...inner, path: [...issue.path, ...inner.path] }))
  }
  return [{ field: fieldName(issue.path), problem: issue.message }]
}

/** Of the forms a union allows, the one with the fewest faults is most likely the one that was meant. */
function nearestBranch(issue: Issue): readonly Issue[] | undefined {
  const size = (branch: readonly Issue[]): number => branch.flatMap((inner) => describeIssue(inner)).length
  const candidates = issue.branches.filter((branch) => branch.length > 0)
  return candidates.reduce<readonly Issue[] | undefined>(
    (best, branch) => (best === undefined || size(branch) < size(best) ? branch : best),
    undefined,
  )
}

function toIssue(issue: {
  readonly instancePath: string
  readonly message?: string | undefined
  readonly params: object
}): Issue {
  const path = issue.instancePath.split('/').slice(1)
  return {
    path: path.filter((part) => part !== ''),
    message: issue.message ?? 'is not valid',
    keys: 'keys' in issue.params ? readKeys(issue.params.keys) : [],
    branches: 'errors' in issue.params ? readBranches(issue.params.errors) : [],
  }
}

function readKeys(keys: unknown): readonly string[] {
  return Array.isArray(keys) ? keys.filter((key) => typeof key === 'string') : []
}

function readBranches(errors: unknown): readonly (readonly Issue[])[] {
  if (!Array.isArray(errors)) return []
  return errors.map((branch: unknown) => (Array.isArray(branch) ? branch.flatMap((issue) => readIssue(issue)) : []))
}

function readIssue(issue: unknown): readonly Issue[] {
  if (typeof issue !== 'object' || issue === null || !('path' in issue) || !('message' in issue)) return []
  if (!Array.isArray(issue.path) || typeof issue.message !== 'string') return []
  return [
    {
      path: issue.path,
      message: issue.message,
      keys: 'keys' in issue ? readKeys(issue.keys) : [],
      branches: 'errors' in issue ? readBranches(issue.errors) : [],
    },
  ]
}

function fieldName(path: readonly PropertyKey[]): string {
  return path.map(String).join('.')
}

function cut(text: string): string {
  return text.length > reportedLength ? `${text.slice(0, reportedLength)}…` : text
}
