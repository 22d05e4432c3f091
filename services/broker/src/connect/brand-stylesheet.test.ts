import { pagePalettes } from '@nexus/service'
import { expect, test } from 'vitest'
import { brandStylesheet } from './brand-stylesheet.ts'
import { contrastOf } from './contrast.ts'

/** The variables that hold in a scheme, by name. */
function readScheme(css: string, scheme: 'light' | 'dark'): Record<string, string> {
  const part = css.split('@media')[scheme === 'light' ? 0 : 1] ?? ''
  return Object.fromEntries([...part.matchAll(/--([a-z-]+): ([^;]+);/g)].map(([, name, value]) => [name, value]))
}

const schemes = ['light', 'dark'] as const

test('without a colour of the operator nothing is changed', () => {
  expect(brandStylesheet(undefined)).toBe('')
})

test.each(['#000000', '#ffffff', '#ffff00', '#635bff', '#767676', '#0a2540', '#1db954', '#d5dae3'])(
  'with the colour %s all can be read, in light and dark',
  (accent) => {
    for (const scheme of schemes) {
      const colours = readScheme(brandStylesheet(accent), scheme)
      const { card, ground, ink } = pagePalettes[scheme]
      expect.soft(contrastOf(colours['button-ink']!, colours['button']!)).toBeGreaterThanOrEqual(4.5)
      for (const under of [card, ground]) {
        expect.soft(contrastOf(colours['accent']!, under), `${scheme} ${under}`).toBeGreaterThanOrEqual(4.5)
        expect.soft(contrastOf(ink, under)).toBeGreaterThanOrEqual(4.5)
      }
      // a button is told from its ground by itself or by its edge
      const edge = colours['button-edge'] === 'transparent' ? accent : colours['button-edge']!
      expect.soft(contrastOf(edge, card), `${scheme} edge`).toBeGreaterThanOrEqual(3)
    }
  },
)

test('a colour that can be read stands on links and outlines too', () => {
  expect(readScheme(brandStylesheet('#0a2540'), 'light')['accent']).toBe('#0a2540')
  expect(readScheme(brandStylesheet('#0a2540'), 'dark')['accent']).toBe(pagePalettes.dark.accent)
})

test.each(schemes)("the pages' own colours can all be read: %s", (scheme) => {
  const palette = pagePalettes[scheme]
  for (const under of [palette.card, palette.ground]) {
    for (const ink of ['ink', 'soft', 'accent', 'danger', 'success'] as const) {
      expect.soft(contrastOf(palette[ink], under), `${ink} on ${under}`).toBeGreaterThanOrEqual(4.5)
    }
  }
  expect(contrastOf(palette['button-ink'], palette.button)).toBeGreaterThanOrEqual(4.5)
})
