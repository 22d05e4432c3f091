import { createHash } from 'node:crypto'
import type { StateStore } from './state-store.ts'

/** Whoever somebody says they are. */
export type Accounts = {
  /** The subject of a name: the same for the same name, whatever its case. */
  readonly signIn: (name: string) => string
  readonly nameOf: (subject: string) => string
}

export function createAccounts(store: StateStore): Accounts {
  return {
    signIn: (typed) => {
      const name = typed.trim().slice(0, 64) || 'Somebody'
      const subject = subjectOf(name)
      store.set(`Name:${subject}`, name)
      return subject
    },
    nameOf: (subject) => {
      const name = store.get(`Name:${subject}`)
      return typeof name === 'string' ? name : subject
    },
  }
}

/** A subject is ASCII (OIDC Core §2), a name need not be. */
function subjectOf(name: string): string {
  const plain = name.toLowerCase().replaceAll(/[\s._-]+/g, '-')
  if (/^[a-z\d-]+$/.test(plain)) return plain
  return `person-${createHash('sha256').update(name.toLowerCase().normalize('NFC')).digest('hex').slice(0, 12)}`
}
