import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parse } from 'yaml'

export type ComposeService = {
  readonly environment?: Readonly<Record<string, string>>
  readonly networks?: readonly string[]
  readonly ports?: readonly string[]
  readonly read_only?: boolean
  readonly cap_drop?: readonly string[]
  readonly security_opt?: readonly string[]
  readonly mem_limit?: string
  readonly pids_limit?: number
}

export type ComposeNetwork = {
  readonly internal?: boolean
  readonly ipam?: { readonly config: readonly { readonly subnet: string }[] }
} | null

export type ComposeFile = {
  readonly services: Readonly<Record<string, ComposeService>>
  readonly networks: Readonly<Record<string, ComposeNetwork>>
}

export type Variables = Readonly<Record<string, string>>

/** `${NAME:?message}` in a compose file. */
export type Variable = { readonly name: string; readonly isRequired: boolean }

export function readCompose(repository: string): ComposeFile {
  const compose: ComposeFile = parse(readFileSync(join(repository, 'docker-compose.yml'), 'utf8'), { merge: true })
  return compose
}

const reference = /\$\$|\$\{(\w+)(?:(:?[-?])([^}]*))?\}/g

export function listVariables(compose: ComposeFile): readonly Variable[] {
  const text = JSON.stringify(compose)
  const found = new Map<string, Variable>()
  for (const [, name, operator] of text.matchAll(reference)) {
    if (name === undefined) continue
    const isRequired = operator?.endsWith('?') === true || found.get(name)?.isRequired === true
    found.set(name, { name, isRequired })
  }
  return [...found.values()]
}

/** As `docker compose` fills in a value. @throws Error naming a required variable that is missing or empty */
export function interpolate(text: string, values: Variables): string {
  return text.replaceAll(reference, (whole, name?: string, operator = '', rest = '') => {
    if (name === undefined) return whole === '$$' ? '$' : whole
    const value = values[name]
    const isAbsent = value === undefined || (operator.startsWith(':') && value === '')
    if (!isAbsent) return value
    if (operator.endsWith('?')) throw new Error(`required variable ${name} is missing a value: ${rest}`)
    return operator.endsWith('-') ? rest : ''
  })
}

/** The environment that a service gets. @throws Error as `interpolate` */
export function environmentOf(compose: ComposeFile, service: string, values: Variables): Variables {
  const environment = compose.services[service]?.environment
  if (environment === undefined) throw new Error(`docker-compose.yml gives ${service} no environment`)
  return Object.fromEntries(
    Object.entries(environment).map(([name, value]): [string, string] => [name, interpolate(value, values)]),
  )
}

/** The variables of a .env file. */
export function readDotEnv(path: string): Variables {
  const lines = readFileSync(path, 'utf8').split('\n')
  return Object.fromEntries(
    lines.flatMap((line): [string, string][] => {
      const [, name, value] = /^([A-Z_]\w*)=(.*)$/.exec(line) ?? []
      return name === undefined || value === undefined ? [] : [[name, value]]
    }),
  )
}
