import { expect, test } from 'vitest'
import { contrastOf, inkOn } from './contrast.ts'

test('contrast is that of WCAG: 21 for black on white, 1 for a colour on itself, the same both ways', () => {
  expect(contrastOf('#000000', '#ffffff')).toBeCloseTo(21, 5)
  expect(contrastOf('#ABCDEF', '#abcdef')).toBe(1)
  // the grey that is known for just passing on white
  expect(contrastOf('#767676', '#ffffff')).toBeCloseTo(4.54, 2)
  expect(contrastOf('#ffffff', '#767676')).toBe(contrastOf('#767676', '#ffffff'))
})

test('black or white can be read on any colour at all', () => {
  const steps = Array.from({ length: 16 }, (_, index) => (index * 17).toString(16).padStart(2, '0'))
  for (const red of steps) {
    for (const green of steps) {
      for (const blue of steps) {
        const ground = `#${red}${green}${blue}`
        expect.soft(contrastOf(inkOn(ground), ground), ground).toBeGreaterThanOrEqual(4.5)
      }
    }
  }
})
