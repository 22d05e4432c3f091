import { expect, test } from 'vitest'
import { createPaint, printable } from './text.ts'

const terminal = { isTTY: true, write: () => undefined }

test('colours are for a terminal whose user wants them', () => {
  expect(createPaint(terminal, {})('green', 'x')).toBe('\u001b[32mx\u001b[39m')
  expect(createPaint(terminal, { NO_COLOR: '' })('green', 'x')).toBe('\u001b[32mx\u001b[39m')
  for (const paint of [
    createPaint({ ...terminal, isTTY: undefined }, {}),
    createPaint(terminal, { NO_COLOR: '1' }),
    createPaint(terminal, { TERM: 'dumb' }),
  ]) {
    expect(paint('green', 'x')).toBe('x')
  }
})

test('what others wrote moves no cursor, sets no title and turns no writing round', () => {
  expect(printable('a\u001b[2Jb\rc\u009bd')).toBe('a\\u001b[2Jb\\u000dc\\u009bd')
  expect(printable('user\u202egpj.exe\u2066')).toBe('user\\u202egpj.exe\\u2066')
  expect(printable('Ünïcode 👩‍💻 “quoted”')).toBe('Ünïcode 👩‍💻 “quoted”')
})
