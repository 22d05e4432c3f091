import { expect, test } from 'vitest'
import { createOutput } from './output.ts'

/** Everything that is written, in order, and a clock that the test moves. */
function open(isTTY: boolean, options: { readonly asJson?: boolean; readonly columns?: number } = {}) {
  const written: string[] = []
  let now = 1_000
  const stream = (name: string) => ({
    isTTY,
    columns: options.columns,
    write: (text: string) => void written.push(`${name} ${text}`),
  })
  const output = createOutput({
    stdout: stream('out'),
    stderr: stream('err'),
    ...(options.asJson !== undefined && { asJson: options.asJson }),
    monotonicMs: () => now,
  })
  return { output, written, pass: (ms: number) => void (now += ms) }
}

test('on a terminal a bar tells how far it is, how fast it goes and how long it will take', () => {
  const { output, written, pass } = open(true)
  output.progress(0, 1_000_000)
  pass(10_000)
  output.progress(250_000, 1_000_000)
  expect(written).toEqual([
    'err \r\u001b[2K[..............................]   0 %  0 of 1,000,000 rows  0/s',
    'err \r\u001b[2K[#####..................]  25 %  250,000 of 1,000,000 rows  25,000/s  30 s left',
  ])
})

test('the bar is drawn ten times a second at most, and always when it is full', () => {
  const { output, written, pass } = open(true)
  for (let done = 0; done <= 1_000; done++) {
    output.progress(done, 1_000)
    pass(1)
  }
  expect(written.length).toBeLessThan(15)
  expect(written.at(-1)).toContain('100 %  1,000 of 1,000 rows')
})

test('nothing to do is a full bar, and a narrow terminal gets no second line', () => {
  const { output, written } = open(true, { columns: 20 })
  output.progress(0, 0)
  expect(written[0]).toContain('100 %')
  expect(written[0]?.replace('err \r\u001b[2K', '').length).toBeLessThan(20)
})

test('a terminal that does not know its width gets eighty columns', () => {
  const { output, written } = open(true, { columns: 0 })
  output.progress(1, 2)
  expect(written[0]).toBe('err \r\u001b[2K[###############...............]  50 %  1 of 2 rows  0/s')
})

test('other things are measured anew', () => {
  const { output, written, pass } = open(true, { columns: 120 })
  output.progress(0, 10)
  pass(1_000)
  output.progress(10, 10)
  output.progress(0, 4, 'partitions of the audit')
  pass(7_200_000)
  output.progress(2, 4, 'partitions of the audit')
  expect(written.at(-1)).toMatch(/ 50 % {2}2 of 4 partitions of the audit {2}0\/s {2}2 h 0 min left$/)
})

test('a line stands above the bar, and the end below it', () => {
  const { output, written } = open(true)
  output.progress(1, 2)
  const bar = written[0] ?? ''
  output.tell('a finding', { event: 'finding' })
  output.warn('a warning', { event: 'warning' })
  output.end('the result', { event: 'done' })
  const cleared = 'err \r\u001b[2K'
  expect(written.slice(1)).toEqual([
    cleared,
    'out a finding\n',
    bar,
    cleared,
    'err a warning\n',
    bar,
    'err \n',
    'out the result\n',
  ])
})

test('without progress there is no bar to clear', () => {
  const { output, written } = open(true)
  output.tell('a finding', { event: 'finding' })
  output.end('the result', { event: 'done' })
  expect(written).toEqual(['out a finding\n', 'out the result\n'])
})

test.each([
  ['elsewhere', open(false)],
  ['on a terminal where it is asked for', open(true, { asJson: true })],
])('%s there are JSON lines, every five seconds and at the end', (_where, { output, written, pass }) => {
  for (let done = 0; done <= 80; done++) {
    output.progress(done, 100)
    pass(100)
  }
  output.warn('words', { event: 'rows_keep_coming', rows: 1 })
  output.end('words', { event: 'rotated', outcome: 'stopped' })
  const progress = { event: 'progress', what: 'rows', total: 100 }
  expect(written.map((line): unknown => [line.slice(0, 3), JSON.parse(line.slice(4))])).toEqual([
    ['err', { ...progress, done: 0, per_second: 0, seconds_left: null }],
    ['err', { ...progress, done: 50, per_second: 10, seconds_left: 5 }],
    ['err', { event: 'rows_keep_coming', rows: 1 }],
    ['err', { ...progress, done: 80, per_second: 10, seconds_left: 2 }],
    ['out', { event: 'rotated', outcome: 'stopped' }],
  ])
  expect(written.every((line) => line.endsWith('\n'))).toBe(true)
})
