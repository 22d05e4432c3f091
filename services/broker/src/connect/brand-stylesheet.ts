import { pagePalettes } from '@nexus/service'
import { type Colour, contrastOf, inkOn } from './contrast.ts'

type Palette = (typeof pagePalettes)['light']

// WCAG 2.2 §1.4.3 and §1.4.11
const textContrast = 4.5
const shapeContrast = 3

/**
 * The operator's colour over those of the shared stylesheet. It fills the button, whose ink is black or white; on links
 * and outlines it stands only where it can be read on the page's grounds, in light and in dark each for itself.
 * @param accent `#rrggbb`; without it nothing changes
 */
export function brandStylesheet(accent: Colour | undefined): string {
  if (accent === undefined) return ''
  return `:root { ${declare(accent, pagePalettes.light)} }
@media (prefers-color-scheme: dark) {
  :root { ${declare(accent, pagePalettes.dark)} }
}
`
}

function declare(accent: Colour, palette: Palette): string {
  const isSeen = contrastOf(accent, palette.card) >= shapeContrast
  const isReadable = [palette.card, palette.ground].every((ground) => contrastOf(accent, ground) >= textContrast)
  return [
    `--button: ${accent};`,
    `--button-ink: ${inkOn(accent)};`,
    `--button-edge: ${isSeen ? 'transparent' : palette.soft};`,
    `--accent: ${isReadable ? accent : palette.accent};`,
  ].join(' ')
}
