import { type KeyStatus, findStranded } from './key-status.ts'
import { describeCounts, sumCounts } from './sealed-kinds.ts'

/** What to do next, in words, the most urgent first. Never empty. */
export function adviseKeys(keys: readonly KeyStatus[]): readonly string[] {
  const advice = [...adviseMissing(keys), ...advisePrimary(keys), ...adviseOlder(keys), ...adviseSpare(keys)]
  return advice.length === 0 ? ['Nothing is to be done: one key seals everything.'] : advice
}

function adviseMissing(keys: readonly KeyStatus[]): readonly string[] {
  const stranded = findStranded(keys).map(
    ({ id, rows }) =>
      `${describeCounts(rows)} need the key ${id}, which is not configured: they cannot be read, and no Broker starts ` +
      'like this. Add it to ENCRYPTION_KEYS_EXTRA.',
  )
  const expected = keys
    .filter(({ role, registeredAt, retiredAt, rows }) => {
      return role === 'not_configured' && registeredAt !== null && retiredAt === null && sumCounts(rows) === 0
    })
    .map(
      ({ id }) =>
        `The key ${id} is registered and not configured: no Broker starts like this. Add it to ENCRYPTION_KEYS_EXTRA; ` +
        `or, if it is lost and will never be used: nexus-broker keys retire ${id}`,
    )
  return [...stranded, ...expected]
}

function advisePrimary([primary]: readonly KeyStatus[]): readonly string[] {
  if (primary?.registeredAt === null) {
    return [
      `ENCRYPTION_KEY (${primary.id}) is not registered, so no Broker starts with it. Is it the right key? ` +
        'If it is a new one: nexus-broker keys add',
    ]
  }
  if (primary === undefined || primary.retiredAt === null) return []
  return [
    `ENCRYPTION_KEY (${primary.id}) is retired, so no Broker starts with it. Make a key that is not retired ` +
      'ENCRYPTION_KEY, and keep this one in ENCRYPTION_KEYS_EXTRA while rows need it.',
  ]
}

/** Keys that are on their way out. */
function adviseOlder([primary, ...others]: readonly KeyStatus[]): readonly string[] {
  if (primary === undefined || primary.registeredAt === null || primary.retiredAt !== null) return []
  const { registeredAt } = primary
  const isOlder = (key: KeyStatus): boolean => key.registeredAt !== null && key.registeredAt < registeredAt
  const configured = others.filter(({ role }) => role === 'opens')
  const rows = configured.reduce((sum, key) => sum + sumCounts(key.rows), 0)
  if (rows > 0) {
    return [
      `${rows} rows still need another key than ENCRYPTION_KEY. Once every Broker has ${primary.id} as ENCRYPTION_KEY: ` +
        'nexus-broker keys rotate',
    ]
  }
  const living = configured.filter((key) => isOlder(key) && key.retiredAt === null)
  if (living.length > 0) {
    return [`No row needs ${listIds(living)} any more. To retire what is older: nexus-broker keys rotate`]
  }
  const retired = configured.filter(({ retiredAt }) => retiredAt !== null)
  if (retired.length === 0) return []
  return [
    `No row needs ${listIds(retired)} any more. When every Broker has started since with ${primary.id} as ` +
      'ENCRYPTION_KEY, and its SPOOL_DIR is empty, take it out of ENCRYPTION_KEYS_EXTRA.',
  ]
}

/** Keys that do not seal yet. */
function adviseSpare([primary, ...others]: readonly KeyStatus[]): readonly string[] {
  const unknown = others.filter(({ role, registeredAt }) => role === 'opens' && registeredAt === null)
  const add =
    unknown.length === 0
      ? []
      : [
          `The key ${listIds(unknown)} is not registered. Once every Broker has it in ENCRYPTION_KEYS_EXTRA: ` +
            'nexus-broker keys add',
        ]
  const since = primary?.registeredAt ?? null
  const ready = others.filter(({ role, registeredAt, retiredAt }) => {
    return role === 'opens' && retiredAt === null && registeredAt !== null && since !== null && registeredAt > since
  })
  if (ready.length === 0) return add
  return [
    ...add,
    `The key ${listIds(ready)} may seal: make it ENCRYPTION_KEY, and keep ${primary?.id} as an extra one.`,
  ]
}

function listIds(keys: readonly KeyStatus[]): string {
  return keys.map(({ id }) => id).join(', ')
}
