import { AppError } from './app-error.ts'
import { isPrototypeName } from './prototype-names.ts'
import type { ZodApp } from './zod-app.ts'

export type Parameters = Record<string, string>

/** What is wrong with a query or form body, kept beside it until somebody may be told. */
const faults = new WeakMap<object, AppError>()

/**
 * Reads `application/x-www-form-urlencoded` text. A parameter that is repeated, or named like a prototype's property,
 * is a fault to be asked for with `findParameterFault`: the router calls this where nothing may throw.
 */
export function parseParameters(text: string): Parameters {
  const parameters: Parameters = Object.create(null)
  for (const [name, value] of new URLSearchParams(text)) {
    if (isPrototypeName(name)) noteFault(parameters, name, 'is not a possible name')
    else if (name in parameters) noteFault(parameters, name, 'was given more than once')
    else parameters[name] = value
  }
  return parameters
}

export function findParameterFault(parameters: unknown): AppError | undefined {
  return typeof parameters === 'object' && parameters !== null ? faults.get(parameters) : undefined
}

/** Refuses requests whose query has a fault: after authentication, before validation. [RFC 6749 §3.1] */
export function installQueryCheck(app: ZodApp): void {
  app.addHook('preValidation', async (request) => {
    const fault = findParameterFault(request.query)
    if (fault !== undefined) throw fault
  })
}

/** Lets the scope of `app` take form bodies, under the same rules as queries. */
export function installFormParser(app: ZodApp, options: { readonly bodyLimit: number }): void {
  app.addContentTypeParser(
    'application/x-www-form-urlencoded',
    { parseAs: 'string', bodyLimit: options.bodyLimit },
    (_request, body, done) => {
      const parameters = parseParameters(String(body))
      const fault = findParameterFault(parameters)
      if (fault === undefined) done(null, parameters)
      else done(fault)
    },
  )
}

function noteFault(parameters: object, name: string, problem: string): void {
  if (faults.has(parameters)) return
  const field = name.slice(0, 100)
  faults.set(
    parameters,
    new AppError('invalid_request', `Parameter "${field}" ${problem}`, { details: { fields: [{ field, problem }] } }),
  )
}
