import { type Sql, fragment } from '../db/sql.ts'

/** The purposes of what is sealed in rows; their labels are part of the ciphertexts. */
export type RowPurpose = 'token' | 'client-secret' | 'handshake-attempt' | 'revocation'

/** Where a kind of secret lies, for what must go through all of them: rotation, verification, counting. */
export type SealedKind = {
  readonly purpose: RowPurpose
  /** For people, in the plural. */
  readonly words: string
  readonly table: Sql
  readonly id: Sql
  readonly sealed: Sql
  /** That of the secret, as its feature seals it. */
  readonly version: Sql
}

/**
 * Every sealed column but the canaries of the keys themselves. A column that is missing here would keep its key for ever;
 * a test seals one of each and compares this list with the schema.
 */
export const sealedKinds: readonly SealedKind[] = [
  {
    purpose: 'client-secret',
    words: 'client secrets',
    table: fragment`provider_profiles`,
    id: fragment`id`,
    sealed: fragment`client_secret`,
    version: fragment`client_secret_version`,
  },
  {
    purpose: 'handshake-attempt',
    words: 'handshakes under way',
    table: fragment`handshake_attempts`,
    id: fragment`id`,
    sealed: fragment`secrets`,
    version: fragment`1`,
  },
  {
    purpose: 'revocation',
    words: 'revocations owed',
    table: fragment`revocations`,
    id: fragment`id`,
    sealed: fragment`tokens`,
    version: fragment`1`,
  },
  {
    purpose: 'token',
    words: 'tokens',
    table: fragment`tokens`,
    id: fragment`connection_id`,
    sealed: fragment`credentials`,
    version: fragment`version`,
  },
]

export type RowCounts = Readonly<Partial<Record<RowPurpose, number>>>

/** `12 client secrets, 40 tokens`; empty where there are none. */
export function describeCounts(counts: RowCounts): string {
  return sealedKinds
    .flatMap(({ purpose, words }) => (counts[purpose] ? [`${counts[purpose]} ${words}`] : []))
    .join(', ')
}

export function sumCounts(counts: RowCounts): number {
  return Object.values(counts).reduce((sum, count) => sum + count, 0)
}
