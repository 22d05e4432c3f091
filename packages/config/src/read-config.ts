import { readFileSync } from 'node:fs'
import type { z } from 'zod'

/** What is wrong with the configuration, all of it at once. No message holds a value. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError'
  /** One line each: the variable's name, a colon, what is wrong with it. */
  readonly faults: readonly string[]

  constructor(faults: readonly string[]) {
    super(
      `the configuration has ${faults.length === 1 ? 'a fault' : `${faults.length} faults`}:\n  ${faults.join('\n  ')}`,
    )
    this.faults = Object.freeze([...faults])
  }
}

export type ReadConfigOptions = {
  /** Reads the file that an `X_FILE` variable names. Default: `node:fs`, UTF-8. */
  readonly readFile?: (path: string) => string
}

type Environment = Readonly<Record<string, string | undefined>>

/**
 * Reads a service's configuration from environment variables.
 *
 * `schema` is a zod object whose keys are the variables' names. A variable that is empty counts as unset. Any `X` may
 * be given as `X_FILE`, the path of a file that holds the value (Docker and Kubernetes secrets); trailing line breaks
 * of the file are dropped. Variables that the schema does not name are not looked at.
 *
 * @returns the typed configuration, frozen
 * @throws ConfigError with every fault at once
 */
export function readConfig<S extends z.ZodObject>(
  schema: S,
  env: Environment,
  options: ReadConfigOptions = {},
): Readonly<z.output<S>> {
  const readFile = options.readFile ?? ((path: string) => readFileSync(path, 'utf8'))
  const names = Object.keys(schema.shape)
  const sources = names.map((name) => ({ name, ...readVariable(name, env, readFile) }))

  const parsed = schema.safeParse(
    Object.fromEntries(sources.map(({ name, value }) => [name, value])),
    // Stands in for zod's own messages, some of which repeat the input.
    { error: (issue) => (issue.input === undefined ? 'is required' : 'is not valid') },
  )
  const issues = parsed.error?.issues ?? []
  const faults = sources.flatMap(({ name, fault }) => {
    if (fault !== undefined) return [fault]
    return issues.filter((issue) => issue.path[0] === name).map((issue) => describe(name, issue))
  })
  const ofTheWhole = issues.filter((issue) => !names.some((name) => name === issue.path[0]))
  faults.push(...ofTheWhole.map((issue) => `configuration: ${issue.message}`))

  if (faults.length > 0 || !parsed.success) throw new ConfigError(faults)
  for (const value of Object.values(parsed.data)) if (Array.isArray(value)) Object.freeze(value)
  return Object.freeze(parsed.data)
}

type Variable = { readonly value?: string; readonly fault?: string }

function readVariable(name: string, env: Environment, readFile: (path: string) => string): Variable {
  const value = env[name] || undefined
  const path = env[`${name}_FILE`] || undefined
  if (path === undefined) return value === undefined ? {} : { value }
  if (value !== undefined) return { fault: `${name}: is set together with ${name}_FILE; set one of them` }
  try {
    const content = readFile(path).replace(/[\r\n]+$/, '')
    // An empty file that was named on purpose is a secret that failed to arrive, not a wish for the default.
    return content === '' ? { fault: `${name}_FILE: the file is empty` } : { value: content }
  } catch (error) {
    return { fault: `${name}_FILE: the file cannot be read (${errorCode(error)})` }
  }
}

/** The code only: the message of a file error repeats the path, which a confused operator may have set to the secret. */
function errorCode(error: unknown): string {
  const code: unknown = error instanceof Error && 'code' in error ? error.code : undefined
  return typeof code === 'string' ? code : 'unknown reason'
}

function describe(name: string, issue: z.core.$ZodIssue): string {
  const index = issue.path[1]
  return typeof index === 'number' ? `${name}: item ${index + 1} ${issue.message}` : `${name}: ${issue.message}`
}
