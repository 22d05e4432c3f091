// The runs that CI makes; `npm run soak` makes the long ones.
import { expect, test } from 'vitest'
import { judgeHerd, soakHerd } from './soak-herd.ts'
import { judgeRefresh, soakRefresh } from './soak-refresh.ts'

const timeout = 120_000
const said: string[] = []
const onProgress = (line: string): void => void said.push(line)

test(
  '[R1] three Brokers, readers and callers who force a refresh: no superseded token, no failed read',
  { timeout },
  async () => {
    const result = await soakRefresh({ seconds: 6, moreThan: 50, connections: 200, brokers: 3, onProgress })
    expect(judgeRefresh(result), said.join('\n')).toEqual([])
    expect(result.refreshes).toBeGreaterThan(50)
    expect(result.reads).toBeGreaterThan(50)
  },
)

test('a herd that comes due at once, a fifth of it at a provider that hangs', { timeout }, async () => {
  const options = { connections: 2_000, providers: 5, brokers: 2, dueWithin: 1, dead: 'hangs', onProgress } as const
  const result = await soakHerd(options)
  expect(judgeHerd(result, options), said.join('\n')).toEqual([])
  expect(result.refreshed).toBe(1_600)
  expect(result.most_concurrent).toBeGreaterThan(1)
  expect(result.dead_requests).toBeGreaterThan(0)
})
