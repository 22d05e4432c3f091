import { format, inspect } from 'node:util'
import { expect, test } from 'vitest'
import { Secret } from './secret.ts'

const plain = 'correct-horse-battery-staple'

test('reveals its value only when asked', () => {
  expect(new Secret(plain).reveal()).toBe(plain)
})

test('shows nothing however it is printed', () => {
  for (const secret of [new Secret(plain), new Secret(Buffer.from(plain)), new Secret({ nested: plain })]) {
    const seen = [
      String(secret),
      `a ${String(secret)} b`,
      [secret].join(),
      JSON.stringify({ secret }),
      inspect(secret),
      inspect({ deep: { secret } }, { depth: Infinity, showHidden: true }),
      inspect(secret, { customInspect: false, showHidden: true, depth: Infinity }),
      format('%s %o %O %j', secret, secret, secret, secret),
      JSON.stringify(Object.assign({}, secret)),
      JSON.stringify(structuredClone(secret)),
      Object.keys(secret).join(),
    ].join('\n')
    expect(seen).not.toContain(plain)
    expect(seen).not.toContain(Buffer.from(plain).toString('hex').slice(0, 8))
    expect(seen).not.toContain([...Buffer.from(plain).subarray(0, 4)].join())
  }
})
