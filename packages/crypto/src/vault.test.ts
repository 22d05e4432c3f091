import { createHash, randomBytes } from 'node:crypto'
import { inspect } from 'node:util'
import { expect, test } from 'vitest'
import { readKeyId } from './envelope.ts'
import { UnknownKeyError, VaultIntegrityError } from './errors.ts'
import { createKeyring, deriveKeyId } from './keyring.ts'
import { sealPurposes } from './seal-context.ts'
import type { SealContext } from './seal-context.ts'
import { createVault } from './vault.ts'

const [oldKey, newKey, foreignKey] = ['old', 'new', 'foreign'].map((name) => createHash('sha256').update(name).digest())
if (oldKey === undefined || newKey === undefined || foreignKey === undefined) throw new Error('unreachable')

const vault = createVault(createKeyring({ primary: oldKey }))
const context: SealContext = { purpose: 'token', recordId: '0199f3a2-7c00-7000-8000-000000000001', version: 7 }
const secret = '{"access_token":"canary-at","refresh_token":"canary-rt"}'
const sealed = vault.seal(secret, context)

/** A random source that repeats itself, so that two seals differ in nothing but the context. */
const fixedVault = createVault(createKeyring({ primary: oldKey }), { randomBytes: (size) => Buffer.alloc(size, 9) })

function failureOf(open: () => unknown): unknown {
  try {
    open()
  } catch (error) {
    return error
  }
  throw new Error('it opened')
}

test('opens what it sealed: text, bytes, nothing, and a megabyte', () => {
  for (const plaintext of [secret, '', 'é€😀\0', randomBytes(500), new Uint8Array(0), randomBytes(1 << 20)]) {
    const opened = vault.open(vault.seal(plaintext, context), context)
    expect(opened.equals(Buffer.from(plaintext)), `${plaintext.length} long`).toBe(true)
  }
})

test('opens bytes that are no Buffer and lie inside a larger one', () => {
  const larger = new Uint8Array(sealed.length + 20)
  larger.set(sealed, 13)
  expect(vault.open(larger.subarray(13, 13 + sealed.length), context).toString()).toBe(secret)
})

test('[V3] the envelope shows nothing of the secret but its length', () => {
  expect(sealed).toHaveLength(secret.length + 33)
  expect(sealed.includes('canary')).toBe(false)
  expect(readKeyId(sealed)).toBe(deriveKeyId(oldKey))
})

test('two seals of one secret differ in the whole ciphertext', () => {
  const seals = Array.from({ length: 100 }, () => vault.seal(secret, context))
  expect(new Set(seals.map((envelope) => envelope.toString('hex', 5, 17))).size).toBe(100)
  expect(new Set(seals.map((envelope) => envelope.toString('hex', 17))).size).toBe(100)
})

test('[V1] an envelope with any one bit flipped does not open', () => {
  for (let bit = 0; bit < sealed.length * 8; bit++) {
    const flipped = Buffer.from(sealed)
    flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7))
    // a flipped key id names a key that nobody has
    const inKeyId = bit >= 8 && bit < 40
    const failure = failureOf(() => vault.open(flipped, context))
    expect(failure, `bit ${bit}`).toBeInstanceOf(inKeyId ? UnknownKeyError : VaultIntegrityError)
  }
})

test('[V1] an envelope cut at either end, or continued, does not open', () => {
  for (let length = 0; length < sealed.length; length++) {
    expect(() => vault.open(sealed.subarray(0, length), context), `first ${length}`).toThrow(VaultIntegrityError)
    expect(() => vault.open(sealed.subarray(length + 1), context), `without ${length + 1}`).toThrow(
      /integrity|no key with the id/,
    )
  }
  expect(() => vault.open(Buffer.concat([sealed, Buffer.alloc(1)]), context)).toThrow(VaultIntegrityError)
  expect(() => vault.open(Buffer.concat([sealed, sealed]), context)).toThrow(VaultIntegrityError)
})

test('[V1] bytes of other things are no envelope', () => {
  for (const bytes of [Buffer.alloc(0), Buffer.alloc(200), Buffer.from(secret), Buffer.alloc(33, 1)]) {
    expect(() => vault.open(bytes, context)).toThrow(/integrity|no key with the id/)
  }
  expect(() => readKeyId(Buffer.alloc(0))).toThrow(VaultIntegrityError)
})

test('[V1] a ciphertext copied into another row does not open', () => {
  for (const recordId of [
    '0199f3a2-7c00-7000-8000-000000000002',
    context.recordId.toUpperCase(),
    ` ${context.recordId}`,
  ]) {
    expect(() => vault.open(sealed, { ...context, recordId }), recordId).toThrow(VaultIntegrityError)
  }
  const other = { ...context, recordId: '0199f3a2-7c00-7000-8000-000000000002' }
  const otherSealed = vault.seal('theirs', other)
  expect(() => vault.open(otherSealed, context)).toThrow(VaultIntegrityError)
  expect(() => vault.open(sealed, other)).toThrow(VaultIntegrityError)
})

test('[V1] a ciphertext of one purpose does not open for another', () => {
  for (const written of sealPurposes) {
    const envelope = vault.seal(secret, { ...context, purpose: written })
    expect(vault.open(envelope, { ...context, purpose: written }).toString()).toBe(secret)
    for (const purpose of sealPurposes.filter((other) => other !== written)) {
      expect(() => vault.open(envelope, { ...context, purpose }), `${written} as ${purpose}`).toThrow(
        VaultIntegrityError,
      )
    }
  }
})

test('[V1] an earlier version put back does not open', () => {
  for (const version of [0, 1, 6, 8, 70, 77, 7 + 2 ** 32, Number.MAX_SAFE_INTEGER]) {
    expect(() => vault.open(sealed, { ...context, version }), `version ${version}`).toThrow(VaultIntegrityError)
  }
})

test('[V1] parts of an envelope do not fit into another', () => {
  const other = vault.seal(secret, context)
  // never so near an end that the few bytes exchanged could be alike by chance
  for (const at of [11, 17, 18, sealed.length - 16, sealed.length - 8]) {
    const spliced = Buffer.concat([sealed.subarray(0, at), other.subarray(at)])
    expect(() => vault.open(spliced, context), `cut at ${at}`).toThrow(VaultIntegrityError)
  }
})

test('[V1] no two contexts are one: neighbouring parts cannot lend each other characters', () => {
  const pairs: [SealContext, SealContext][] = [
    [
      { purpose: 'token', recordId: '12', version: 3 },
      { purpose: 'token', recordId: '1', version: 23 },
    ],
    [
      { purpose: 'token', recordId: 'a\0\0\0\x011', version: 2 },
      { purpose: 'token', recordId: 'a', version: 12 },
    ],
    // Purposes are a closed list; these show that the encoding does not lean on it.
    [
      // @ts-expect-error -- no such purpose
      { purpose: 'ab', recordId: 'c', version: 1 },
      // @ts-expect-error -- no such purpose
      { purpose: 'a', recordId: 'bc', version: 1 },
    ],
  ]
  for (const [one, two] of pairs) {
    expect(() => vault.open(vault.seal(secret, one), two)).toThrow(VaultIntegrityError)
    expect(() => vault.open(vault.seal(secret, two), one)).toThrow(VaultIntegrityError)
  }
})

test('each record has a key of its own: one nonce gives unrelated key streams', () => {
  const zeros = Buffer.alloc(64)
  const streams = [context, { ...context, recordId: 'other' }, { ...context, purpose: 'revocation' as const }].map(
    (where) => fixedVault.seal(zeros, where).toString('hex', 17, 17 + 64),
  )
  expect(new Set(streams).size).toBe(3)
})

test('[V1] a context that has no single encoding is refused, on both ways', () => {
  const unusable: Partial<SealContext>[] = [
    ...['', 'x'.repeat(256), 'a\uD800'].map((recordId) => ({ recordId })),
    ...[-1, 0.5, NaN, Infinity, 2 ** 53].map((version) => ({ version })),
  ]
  for (const part of unusable) {
    expect(() => vault.seal(secret, { ...context, ...part }), inspect(part)).toThrow(RangeError)
    expect(() => vault.open(sealed, { ...context, ...part }), inspect(part)).toThrow(RangeError)
  }
})

test('a text that UTF-8 would change is refused, not altered', () => {
  expect(() => vault.seal('half a pair \uD800', context)).toThrow(RangeError)
})

test('a random source that gives too little stops the seal', () => {
  for (const size of [0, 11, 13]) {
    const poor = createVault(createKeyring({ primary: oldKey }), { randomBytes: () => Buffer.alloc(size) })
    expect(() => poor.seal(secret, context)).toThrow(RangeError)
  }
})

test('a value sealed by a key that is not configured is an unknown key, never an integrity failure', () => {
  const elsewhere = createVault(createKeyring({ primary: foreignKey }))
  const failure = failureOf(() => elsewhere.open(sealed, context))
  expect(failure).toBeInstanceOf(UnknownKeyError)
  expect(failure).not.toBeInstanceOf(VaultIntegrityError)
  expect(failure).toMatchObject({ keyId: deriveKeyId(oldKey) })
})

test('[V1] a forged key id does not make another configured key accept the value', () => {
  const both = createVault(createKeyring({ primary: oldKey, extra: [newKey] }))
  const forged = Buffer.from(sealed)
  forged.write(deriveKeyId(newKey), 1, 'hex')
  expect(() => both.open(forged, context)).toThrow(VaultIntegrityError)
})

test('[V4] a retired key still opens, but only the primary seals', () => {
  const rotated = createVault(createKeyring({ primary: newKey, extra: [oldKey] }))
  expect(rotated.open(sealed, context).toString()).toBe(secret)
  expect(readKeyId(rotated.seal(secret, context))).toBe(deriveKeyId(newKey))
})

test('[V4] a reseal keeps secret and context, and needs the old key no more', () => {
  const rotated = createVault(createKeyring({ primary: newKey, extra: [oldKey] }))
  const resealed = rotated.reseal(sealed, context)
  expect(readKeyId(resealed)).toBe(deriveKeyId(newKey))
  expect(
    createVault(createKeyring({ primary: newKey }))
      .open(resealed, context)
      .toString(),
  ).toBe(secret)
  expect(() => rotated.reseal(sealed, { ...context, version: 8 })).toThrow(VaultIntegrityError)
  expect(() => vault.open(resealed, context)).toThrow(UnknownKeyError)
})

test('[V1] every integrity failure looks the same and shows neither key nor secret', () => {
  const flipped = Buffer.from(sealed)
  flipped[20] = (flipped[20] ?? 0) ^ 1
  const failures = [flipped, sealed.subarray(0, 10), Buffer.alloc(80)].map((bytes) =>
    failureOf(() => vault.open(bytes, context)),
  )
  expect(failures.map(String)).toEqual(Array(3).fill('VaultIntegrityError: a sealed value failed its integrity check'))
  const seen = failures.map((failure) => inspect(failure, { depth: Infinity, showHidden: true })).join()
  for (const part of ['canary', oldKey.toString('hex'), oldKey.toString('base64')]) expect(seen).not.toContain(part)
})
