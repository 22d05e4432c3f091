import { createHash } from 'node:crypto'
import { inspect } from 'node:util'
import { expect, test } from 'vitest'
import { UnknownKeyError } from './errors.ts'
import { createKeyring, deriveKeyId } from './keyring.ts'
import { createStateSigner } from './signed-state.ts'
import { createVault } from './vault.ts'

const keyNamed = (name: string) => createHash('sha256').update(name).digest()
const [primary, retired, coming] = [keyNamed('primary'), keyNamed('retired'), keyNamed('coming')]

test('names its keys, the primary first', () => {
  const keyring = createKeyring({ primary, extra: [retired, coming] })
  expect(keyring.primaryId).toBe(deriveKeyId(primary))
  expect(keyring.ids).toEqual([primary, retired, coming].map(deriveKeyId))
  expect([keyring.has(deriveKeyId(coming)), keyring.has('00000000'), keyring.has('')]).toEqual([true, false, false])
  expect(createKeyring({ primary, extra: undefined }).ids).toEqual([deriveKeyId(primary)])
})

test('a key id is 8 hexadecimal digits that do not occur in the key', () => {
  for (const name of ['a', 'b', 'c']) {
    const keyId = deriveKeyId(keyNamed(name))
    expect(keyId).toMatch(/^[0-9a-f]{8}$/)
    expect(keyNamed(name).toString('hex')).not.toContain(keyId)
  }
})

test('two different keys with one id are refused', () => {
  const [one, two] = [keyNamed('nexus collision 38349'), keyNamed('nexus collision 52309')]
  expect(deriveKeyId(one)).toBe(deriveKeyId(two))
  expect(one.equals(two)).toBe(false)
  expect(() => createKeyring({ primary, extra: [one, two] })).toThrow('two keys have the id 48699f16')
  expect(() => createKeyring({ primary: one, extra: [two] })).toThrow(RangeError)
})

test('one key configured twice is refused', () => {
  expect(() => createKeyring({ primary, extra: [Buffer.from(primary)] })).toThrow(/is one key configured twice/)
})

test('a key that has not 256 bits is refused, and the message tells only its length', () => {
  for (const length of [0, 16, 31, 33, 64]) {
    const short = Buffer.alloc(length, 'k')
    expect(() => createKeyring({ primary: short })).toThrow(`a key must have 32 bytes, not ${length}`)
    expect(() => createKeyring({ primary, extra: [short] })).toThrow(RangeError)
    expect(() => createStateSigner({ key: short })).toThrow(RangeError)
  }
})

test('lets another of its keys seal, and only one of its own', () => {
  const keyring = createKeyring({ primary, extra: [coming] })
  const other = keyring.withPrimary(deriveKeyId(coming))
  expect(other.ids).toEqual([deriveKeyId(coming), deriveKeyId(primary)])
  expect(keyring.primaryId, 'the keyring itself stays as it was').toBe(deriveKeyId(primary))
  expect(() => keyring.withPrimary(deriveKeyId(retired))).toThrow(UnknownKeyError)
})

test('copies its keys: wiping the original changes nothing', () => {
  const wiped = Buffer.from(primary)
  const vault = createVault(createKeyring({ primary: wiped }))
  wiped.fill(0)
  const context = { purpose: 'token', recordId: 'r', version: 1 } as const
  const sealed = createVault(createKeyring({ primary })).seal('secret', context)
  expect(vault.open(sealed, context).toString()).toBe('secret')
})

test('[L1] neither keyring nor vault nor signer shows a key, however it is inspected', () => {
  const keyring = createKeyring({ primary, extra: [retired] })
  const things = [keyring, createVault(keyring), createStateSigner({ key: primary, retiredKey: retired })]
  const derived = keyring.deriveRecordKey(keyring.primaryId, Buffer.from('info'))
  const options = { depth: Infinity, showHidden: true, showProxy: true, maxArrayLength: null, customInspect: false }
  const seen = [...things, derived].map((thing) => inspect(thing, options) + JSON.stringify(thing)).join()
  for (const key of [primary, retired, derived.export()]) {
    const spellings = [key.toString('hex'), key.toString('base64'), key.toString('base64url'), [...key].join()]
    const bytes = [...key].map((byte) => byte.toString(16).padStart(2, '0')).join(' ')
    for (const spelling of [...spellings, bytes]) expect(seen).not.toContain(spelling.slice(0, 20))
  }
})
