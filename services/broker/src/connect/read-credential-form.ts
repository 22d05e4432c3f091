import type { CredentialValue } from '@nexus/contracts'
import type { Parameters } from '@nexus/service'
import { type CredentialFault, type CredentialField, mostFaults } from '../providers/credential-schema.ts'
import { inputName } from './field-view.ts'

/** The name of the field whose blanks are kept; undefined: there is none. */
type Blanks = { readonly keepsSpaces: string | undefined }

export type ReadForm = {
  readonly values: Readonly<Record<string, CredentialValue>>
  /** Of names that the form does not have. */
  readonly faults: readonly CredentialFault[]
}

const longestName = 64

/**
 * Turns what a form sent, all of it text, into values of the types the schema speaks of. A field left empty is left out;
 * what is no number stays text, for the schema to refuse.
 */
export function readCredentialForm(fields: readonly CredentialField[], form: Parameters, options: Blanks): ReadForm {
  const known = new Set(['state', ...fields.map(inputName)])
  const faults = Object.keys(form)
    .filter((name) => !known.has(name))
    .slice(0, mostFaults)
    .map((name) => ({ field: innerName(name), rule: 'additionalProperties' }))
  const entries = fields.flatMap((field) => {
    const value = readValue(field, form[inputName(field)] ?? '', options)
    return value === undefined ? [] : [[field.name, value] as const]
  })
  return { values: Object.fromEntries(entries), faults }
}

function innerName(name: string): string {
  return (/^credentials\[(.*)\]$/s.exec(name)?.[1] ?? name).toWellFormed().slice(0, longestName)
}

function readValue(field: CredentialField, sent: string, { keepsSpaces }: Blanks): CredentialValue | undefined {
  if (field.options !== undefined) {
    const chosen = field.options.find(({ value }) => String(value) === sent)
    return chosen?.value ?? (sent === '' ? undefined : sent)
  }
  if (field.type === 'boolean') return sent === 'true'
  if (field.type === 'string') {
    const text = field.name === keepsSpaces ? sent : sent.trim()
    return text === '' && !field.mayBeEmpty ? undefined : text
  }
  const trimmed = sent.trim()
  if (trimmed === '') return undefined
  return /^[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:e[+-]?\d+)?$/i.test(trimmed) ? Number(trimmed) : trimmed
}
