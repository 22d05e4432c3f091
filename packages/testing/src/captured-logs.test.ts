import { expect, test } from 'vitest'
import { captureLogs } from './captured-logs.ts'

test('keeps lines as objects and the text as it was', () => {
  const logs = captureLogs()
  logs.write('{"level":30,"msg":"one"}\n')
  logs.write('{"level":40,"msg":"two"}\n{"half')
  expect(logs.lines()).toEqual([
    { level: 30, msg: 'one' },
    { level: 40, msg: 'two' },
  ])
  expect(logs.text()).toContain('{"half')
})

test('waits for a line that comes later, and says so if none does', async () => {
  const logs = captureLogs()
  const waiting = logs.waitFor((line) => line['msg'] === 'two')
  logs.write('{"msg":"one"}\n')
  logs.write('{"msg":"two"}\n')
  await expect(waiting).resolves.toEqual({ msg: 'two' })
  await expect(logs.waitFor((line) => line['msg'] === 'three', 20)).rejects.toThrow('no such log line within 20 ms')
})
