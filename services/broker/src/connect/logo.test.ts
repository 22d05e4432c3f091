import { expect, test } from 'vitest'
import { type LogoDeps, createLogoFinder } from './logo.ts'

const svg = '<svg xmlns="http://www.w3.org/2000/svg"/>'

/** Answers in turn, and counts; time is what the test says it is. */
function makeDeps(...answers: readonly (Response | Error)[]) {
  const left = [...answers]
  const state = { at: 0, asked: 0, warnings: 0 }
  const deps: LogoDeps = {
    fetch: async () => {
      state.asked += 1
      const next = left.shift()
      if (next instanceof Error || next === undefined) throw next ?? new Error('asked too often')
      return next
    },
    monotonicMs: () => state.at,
    logger: { warn: () => (state.warnings += 1) },
  }
  return { deps, state }
}

const image = (body: string, status = 200) => new Response(body, { status })

test('a logo is fetched once, before anybody asks, and kept', async () => {
  const { deps, state } = makeDeps(image(svg))
  const find = createLogoFinder(deps, 'https://example.com/logo.svg')
  await expect.poll(find).toEqual({ type: 'image/svg+xml', bytes: Buffer.from(svg) })
  state.at = 1e9
  expect(find()?.type).toBe('image/svg+xml')
  expect(state).toMatchObject({ asked: 1, warnings: 0 })
})

test('a data: URL needs no network', async () => {
  const { deps, state } = makeDeps()
  const find = createLogoFinder(deps, `data:image/png;base64,${Buffer.from(svg).toString('base64')}`)
  await expect.poll(() => find()?.bytes.toString()).toBe(svg)
  // by its bytes, whatever it was called
  expect(find()?.type).toBe('image/svg+xml')
  expect(state.asked).toBe(0)
})

test.each([
  ['the network fails', new Error('away')],
  ['the answer is no success', image(svg, 404)],
  ['it is no image', image('<!doctype html>')],
  ['it is too large', image(`${svg}${' '.repeat(262_144)}`)],
])('where %s pages do without it, and it is tried again a minute later', async (_what, failure) => {
  const { deps, state } = makeDeps(failure, image(svg))
  const find = createLogoFinder(deps, 'https://example.com/logo.svg')
  await expect.poll(() => state.warnings).toBe(1)
  state.at = 59_999
  expect(find()).toBeUndefined()
  expect(state.asked).toBe(1)
  state.at = 60_000
  expect(find()).toBeUndefined()
  await expect.poll(() => find()?.type).toBe('image/svg+xml')
  expect(state).toMatchObject({ asked: 2, warnings: 1 })
})

test('without a URL there is no logo and no request', () => {
  const { deps, state } = makeDeps()
  expect(createLogoFinder(deps, undefined)()).toBeUndefined()
  expect(state.asked).toBe(0)
})
