import { AppError, createLogger } from '@nexus/service'
import { captureLogs, createManualClock } from '@nexus/testing'
import { expect, test } from 'vitest'
import { createUnrefreshedLog } from './unrefreshed-log.ts'

const away = new AppError('provider_unavailable', 'The provider cannot refresh the token right now.')

function openScene() {
  const { now, advance } = createManualClock()
  const logs = captureLogs()
  const note = createUnrefreshedLog(createLogger({ level: 'warn', service: 'test', destination: logs }), now)
  const told = () => logs.lines().map(({ connection_id }) => connection_id)
  return { note, advance, logs, told }
}

test('each connection is told of once a minute, with the reason', () => {
  const { note, advance, logs, told } = openScene()
  for (let n = 0; n < 1_000; n++) note('a', away)
  advance(59_999)
  note('a', away)
  note('b', away)
  expect(told()).toEqual(['a', 'b'])
  expect(logs.lines()[0]).toMatchObject({
    msg: 'a token was served unrefreshed',
    details: { code: 'provider_unavailable' },
  })
  advance(1)
  note('a', away)
  expect(told()).toEqual(['a', 'b', 'a'])
})

test('while very many are served like that, a hundred of them are told of in a minute', () => {
  const { note, advance, told } = openScene()
  for (let n = 0; n < 5_000; n++) note(`connection ${n}`, away)
  expect(told()).toHaveLength(100)
  advance(60_000)
  for (let n = 0; n < 5_000; n++) note(`connection ${n}`, away)
  expect(told()).toHaveLength(200)
})
