import type { Keyring } from '@nexus/crypto'
import type { Metrics } from '@nexus/service'
import { Gauge } from 'prom-client'
import type { Queryable } from '../db/database.ts'
import { readKeyStatus } from '../vault/key-status.ts'
import { sealedKinds } from '../vault/sealed-kinds.ts'
import type { KeyState } from '../vault/watch-keys.ts'
import { sampleSparingly } from './sample-sparingly.ts'

export type VaultMetrics = { readonly noteKeyState: (state: KeyState) => void }

export type VaultMetricsDeps = {
  readonly metrics: Metrics
  readonly database: Queryable
  readonly keyring: Keyring
  readonly monotonicMs: () => number
}

// counting reads an index with a million entries: not for every scrape
const countedForMs = 5 * 60_000

/** Which keys are in use, and whether they are the right ones. Labels are key ids and kinds of secrets, never a caller's. */
export function createVaultMetrics({ metrics, database, keyring, monotonicMs }: VaultMetricsDeps): VaultMetrics {
  const registers = [metrics.registry]
  const primaryRetired = new Gauge({
    name: 'nexus_vault_primary_key_retired',
    help: '1 while this Broker seals with a retired key: restart it with the new ENCRYPTION_KEY, and rotate again',
    registers,
  })
  const missing = new Gauge({
    name: 'nexus_vault_keys_missing',
    help: 'Registered keys that this Broker does not have, so that it would not start again',
    registers,
  })
  const sample = sampleSparingly(() => readKeyStatus(database, keyring), monotonicMs, countedForMs)
  new Gauge({
    name: 'nexus_vault_rows',
    help: 'Sealed secrets by key, what this Broker does with it, and kind; counted every five minutes at most',
    labelNames: ['key_id', 'role', 'kind'],
    registers,
    async collect() {
      const keys = await sample()
      // a database that is away must not fail the scrape: what was counted last stands
      if (keys === undefined) return
      this.reset()
      for (const { id, role, rows } of keys) {
        for (const { purpose } of sealedKinds) this.set({ key_id: id, role, kind: purpose }, rows[purpose] ?? 0)
      }
    },
  })
  return {
    noteKeyState(state) {
      primaryRetired.set(state.isPrimaryRetired ? 1 : 0)
      missing.set(state.missing.length)
    },
  }
}
