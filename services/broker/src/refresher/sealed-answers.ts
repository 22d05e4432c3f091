import type { SecretVault } from '../vault/secret-vault.ts'
import type { AttemptFacts, RefreshedGrant } from './record-outcome.ts'

/** A provider's answer that waits to be stored, in memory or in a file: it opens for its connection and version alone. */
export type SealedAnswer = {
  readonly connectionId: string
  readonly version: number
  /** Of the lease under which it was asked for: of several answers for one version one counts, and it decides which. */
  readonly leaseEpoch: number
  readonly bytes: Buffer
}

export type SealedAnswers = {
  readonly seal: (facts: AttemptFacts, grant: RefreshedGrant) => SealedAnswer
  /** @throws AppError `vault_integrity`, `key_unavailable` */
  readonly open: (answer: SealedAnswer) => { readonly facts: AttemptFacts; readonly grant: RefreshedGrant }
}

export function createSealedAnswers(vault: SecretVault): SealedAnswers {
  return {
    seal(facts, grant) {
      const { connectionId, version, leaseEpoch } = facts
      const { sealed } = vault.seal(JSON.stringify({ facts, grant }), contextOf({ connectionId, version }))
      return { connectionId, version, leaseEpoch, bytes: sealed }
    },
    open(answer) {
      const opened: { facts: AttemptFacts; grant: RefreshedGrant } = JSON.parse(
        vault.open(answer.bytes, contextOf(answer)),
      )
      return opened
    },
  }
}

function contextOf({ connectionId, version }: Pick<SealedAnswer, 'connectionId' | 'version'>) {
  return { purpose: 'refresh-spool', recordId: connectionId, version } as const
}
