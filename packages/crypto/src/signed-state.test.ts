import { createHash, createHmac } from 'node:crypto'
import { inspect } from 'node:util'
import { expect, test } from 'vitest'
import { deriveKeyId } from './keyring.ts'
import { randomToken } from './random.ts'
import { createStateSigner, statePurposes } from './signed-state.ts'
import type { StateClaims } from './signed-state.ts'

const keyNamed = (name: string) => createHash('sha256').update(name).digest()
const [key, retiredKey, foreignKey] = [keyNamed('state'), keyNamed('retired state'), keyNamed('foreign')]
const signer = createStateSigner({ key, retiredKey })
const retiredSigner = createStateSigner({ key: retiredKey })
const claims: StateClaims = {
  purpose: 'oauth',
  connectionId: '0199f3a2-7c00-7000-8000-000000000001',
  jti: randomToken(32),
  issuedAt: 1_800_000_000,
}
const state = signer.sign(claims)
const [payloadPart = '', macPart = ''] = state.split('.')
const payloadText = Buffer.from(payloadPart, 'base64url').toString()

/** Signs any text with the right key: what only a careless holder of the key could do. */
function signText(text: string, withKey: Uint8Array = key): string {
  const mac = createHmac('sha256', withKey).update(text).digest('base64url')
  return `${Buffer.from(text).toString('base64url')}.${mac}`
}

/** Those that verify although they must not, cut to a printable length. */
function acceptedAmong(states: readonly string[]): string[] {
  return states.filter((candidate) => signer.verify(candidate) !== undefined).map((text) => text.slice(0, 700))
}

test('[H1] gives back what was signed, for each purpose', () => {
  for (const purpose of statePurposes) {
    const verified = signer.verify(signer.sign({ ...claims, purpose }))
    expect(verified).toEqual({ ...claims, purpose, keyId: signer.keyId })
    expect(Object.isFrozen(verified)).toBe(true)
  }
  expect(signText(payloadText), 'the helper of this test signs as the signer does').toBe(state)
})

test('[H1] a state with any one character changed does not verify', () => {
  for (let at = 0; at < state.length; at++) {
    for (const other of ['A', 'b', '_', '.', '=', ' ']) {
      if (state[at] === other) continue
      expect(signer.verify(state.slice(0, at) + other + state.slice(at + 1)), `${other} at ${at}`).toBeUndefined()
    }
  }
})

test('[H1] a state cut, continued or put together from two does not verify', () => {
  const states = Array.from({ length: state.length }, (_, length) => state.slice(0, length))
  const [otherPayload, otherMac] = signer.sign({ ...claims, jti: randomToken(32) }).split('.')
  const mixed = [`${payloadPart}.${otherMac}`, `${otherPayload}.${macPart}`, `${macPart}.${payloadPart}`]
  expect(
    acceptedAmong([...states, ...mixed, `${state}.`, `.${state}`, `${state}.${macPart}`, payloadPart, '.', '..', '']),
  ).toEqual([])
})

test('[H1] a tampered payload under the old signature does not verify', () => {
  const changed = [
    payloadText.replace('oauth', 'capture'),
    payloadText.replace('000000000001', '000000000002'),
    payloadText.replace('1800000000', '1900000000'),
    payloadText.replace('"v":1', '"v":2'),
  ]
  expect(acceptedAmong(changed.map((text) => `${Buffer.from(text).toString('base64url')}.${macPart}`))).toEqual([])
})

test('[H1] a foreign key does not verify, whatever kid it claims', () => {
  const foreign = createStateSigner({ key: foreignKey })
  expect(acceptedAmong([foreign.sign(claims), signText(payloadText, foreignKey)])).toEqual([])
  expect(foreign.verify(state)).toBeUndefined()
})

test('[H1] the retired key verifies but never signs', () => {
  const old = retiredSigner.sign(claims)
  expect(signer.verify(old)).toEqual({ ...claims, keyId: retiredSigner.keyId })
  expect(signer.verify(state)?.keyId).toBe(signer.keyId)
  expect(retiredSigner.verify(state), 'a service that has not seen the new key yet').toBeUndefined()
  expect(payloadText).toContain(`"kid":"${signer.keyId}"`)
})

test('[H1] a kid that names another key than the one that signed does not verify', () => {
  const swapped = payloadText.replace(signer.keyId, retiredSigner.keyId)
  expect(swapped).not.toBe(payloadText)
  expect(
    acceptedAmong([
      signText(swapped),
      signText(payloadText, retiredKey),
      signText(payloadText.replace(signer.keyId, '00000000')),
      signText(payloadText.replace(signer.keyId, signer.keyId.toUpperCase())),
    ]),
  ).toEqual([])
})

test('[H1] only the canonical base64url verifies', () => {
  // 32 bytes leave 2 unused bits in the last of 43 characters: three more spellings decode to the same MAC
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
  const last = alphabet.indexOf(macPart.slice(-1))
  const strayBits = [1, 2, 3].map((bits) => `${payloadPart}.${macPart.slice(0, -1)}${alphabet[last + bits]}`)
  for (const spelling of strayBits) {
    expect(Buffer.from(spelling.split('.')[1] ?? '', 'base64url')).toEqual(Buffer.from(macPart, 'base64url'))
  }
  const slack = [`${state}=`, `${payloadPart}=.${macPart}`, `${state}\n`, ` ${state}`, `${payloadPart}!.${macPart}`]
  const otherAlphabet = statesWithBothAlphabets().map((text) => text.replaceAll('-', '+').replaceAll('_', '/'))
  expect(acceptedAmong([...strayBits, ...slack, ...otherAlphabet])).toEqual([])
})

function statesWithBothAlphabets(): string[] {
  const states = Array.from({ length: 50 }, () => signer.sign({ ...claims, jti: randomToken(32) }))
  return states.filter((text) => /[-_]/.test(text))
}

test('[H1] only the canonical JSON verifies, even under a right signature', () => {
  const payload: Record<string, unknown> = JSON.parse(payloadText)
  const { v, kid, ...others } = payload
  expect(
    acceptedAmong(
      [
        JSON.stringify({ ...payload, admin: true }),
        JSON.stringify({ ...others, kid, v }),
        JSON.stringify(payload, undefined, 1),
        `${payloadText} `,
        `\ufeff${payloadText}`,
        payloadText.replace('{', '{"v":1,'),
        payloadText.replace('"iat":', '"iat":0,"iat":'),
        payloadText.replace('1800000000', '1.8e9'),
        payloadText.replace('1800000000', '1800000000.0'),
        payloadText.replace('oauth', '\\u006fauth'),
        payloadText.replace('{', '{"__proto__":{},'),
        JSON.stringify([payload]),
        'null',
        '1',
        '"state"',
        '{}',
        '',
        '{',
      ].map((text) => signText(text)),
    ),
  ).toEqual([])
})

test('[H1] a field of another shape does not verify, and is not signed', () => {
  const payload: Record<string, unknown> = JSON.parse(payloadText)
  const wrong: Record<string, unknown>[] = [
    ...['admin', 'OAUTH', '', null, ['oauth']].map((purpose) => ({ purpose })),
    ...['', 'jane@example.com', '0199F3A2-7C00-7000-8000-000000000001', 1].map((id) => ({ connection_id: id })),
    ...['', 'x'.repeat(42), 'x'.repeat(44), `${'x'.repeat(42)}=`, 7].map((jti) => ({ jti })),
    ...['1800000000', -1, 0.5, null, 2 ** 53].map((iat) => ({ iat })),
    ...[0, 2, '1'].map((v) => ({ v })),
  ]
  expect(acceptedAmong(wrong.map((part) => signText(JSON.stringify({ ...payload, ...part }))))).toEqual([])

  const unsignable: Partial<StateClaims>[] = [
    { connectionId: 'jane@example.com' },
    { jti: 'guessable' },
    { issuedAt: 0.5 },
    { issuedAt: NaN },
    // @ts-expect-error -- no such purpose
    { purpose: 'admin' },
  ]
  for (const part of unsignable) expect(() => signer.sign({ ...claims, ...part }), inspect(part)).toThrow(RangeError)
})

test('[H1] a huge input does not verify, even under a right signature', () => {
  expect(
    acceptedAmong(['A'.repeat(50_000_000), `${payloadPart}.${'A'.repeat(50_000_000)}`, '.'.repeat(100_000)]),
  ).toEqual([])
  expect(acceptedAmong([signText(`${payloadText}${' '.repeat(400)}`), '.'.repeat(512)])).toEqual([])
})

test('[H1] what is no text at all does not verify', () => {
  const inputs: unknown[] = [undefined, null, 1, {}, [state], [state, state], { toString: () => state }]
  // @ts-expect-error -- the type says text; a query string says what it likes
  for (const input of inputs) expect(signer.verify(input), inspect(input)).toBeUndefined()
})

test('[H1] verification says nothing about age', () => {
  expect(signer.verify(signer.sign({ ...claims, issuedAt: 0 }))?.issuedAt).toBe(0)
})

test('[H1] a key id says nothing of the key, and is not the one that the vault would give it', () => {
  expect(signer.keyId).not.toBe(deriveKeyId(key))
  expect(signer.keyId).toMatch(/^[0-9a-f]{8}$/)
  expect(key.toString('hex')).not.toContain(signer.keyId)
})

test('the retired key must be another one', () => {
  expect(() => createStateSigner({ key, retiredKey: Buffer.from(key) })).toThrow(RangeError)
  expect(createStateSigner({ key, retiredKey: undefined }).verify(state)).toBeDefined()
})
