/** Images that browsers show and that are served under the type their bytes have, whatever their origin called them. */
export type ImageType = 'image/png' | 'image/jpeg' | 'image/webp' | 'image/svg+xml'

// one way only to read each of its characters: whoever serves the image must not hold up the process
const svgStart = /^\uFEFF?\s*(?:<\?xml[^>]*\?>\s*)?(?:<!DOCTYPE[^>]*>\s*)?<svg[\s>]/

/** @returns undefined for anything else */
export function detectImageType(bytes: Buffer): ImageType | undefined {
  if (bytes.subarray(0, 8).equals(Buffer.from('89504e470d0a1a0a', 'hex'))) return 'image/png'
  if (bytes.subarray(0, 3).equals(Buffer.from('ffd8ff', 'hex'))) return 'image/jpeg'
  if (bytes.toString('latin1', 0, 4) === 'RIFF' && bytes.toString('latin1', 8, 12) === 'WEBP') return 'image/webp'
  return svgStart.test(withoutComments(bytes.toString('utf8', 0, 4096))) ? 'image/svg+xml' : undefined
}

function withoutComments(markup: string): string {
  const [first = '', ...others] = markup.split('<!--')
  return first + others.map((part) => (part.includes('-->') ? part.slice(part.indexOf('-->') + 3) : '')).join('')
}
