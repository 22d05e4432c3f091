/**
 * Words of placeholders, tutorials and `.env.example` files, without punctuation. None is shorter than six letters:
 * the chance that a random 44-character key contains a given one is then below one in ten million.
 */
const sampleWords = [
  'changeme',
  'changethis',
  'changeit',
  'changein',
  'example',
  'sample',
  'placeholder',
  'replace',
  'insert',
  'yourapi',
  'yourkey',
  'yoursecret',
  'yourown',
  'yoursuper',
  'yourstrong',
  'yourrandom',
  'yourbase64',
  'your32',
  'somesecret',
  'somerandom',
  'secretkey',
  'supersecret',
  'topsecret',
  'verysecret',
  'notasecret',
  'notsosecret',
  'donotuse',
  'dontuse',
  'insecure',
  'password',
  'passw0rd',
  'letmein',
  'qwerty',
  'dummykey',
  'dummyapi',
  'devsecret',
  'generate',
  'openssl',
  'randombytes',
  'atleast32',
  '32characters',
  '32bytes',
  'deadbeef',
  'cafebabe',
  'loremipsum',
  'correcthorse',
] as const

/** Whether a secret given as text is a well-known sample, or so regular that nobody drew it at random. */
export function looksLikeSample(text: string): boolean {
  const letters = text.toLowerCase().replaceAll(/[^a-z0-9]/g, '')
  return (
    sampleWords.some((word) => letters.includes(word)) ||
    isRegular(Array.from(text, (character) => character.codePointAt(0) ?? 0))
  )
}

/**
 * Whether the bytes of a 256-bit key are anything but random: one byte or a short unit repeated, a sequence that
 * counts, or readable text. A random key is taken for one of these less than once in 10¹¹.
 */
export function looksUnrandom(bytes: Uint8Array): boolean {
  const isText = bytes.every((byte) => byte >= 0x20 && byte <= 0x7e)
  return isText || isRegular([...bytes])
}

/** 32 random hexadecimal digits have fewer than 8 distinct ones about once in 30 million draws. */
const fewestDistinct = 8

function isRegular(codes: readonly number[]): boolean {
  return new Set(codes).size < fewestDistinct || repeatsItself(codes) || counts(codes, 1) || counts(codes, -1)
}

/** One unit written at least twice, the last time perhaps cut short. */
function repeatsItself(codes: readonly number[]): boolean {
  const longestUnit = Math.floor(codes.length / 2)
  for (let unit = 1; unit <= longestUnit; unit++) {
    if (codes.every((code, at) => at < unit || code === codes[at - unit])) return true
  }
  return false
}

/** More than half of the steps go to the next code: `abcdef…`, `0123…`, bytes 0, 1, 2 … */
function counts(codes: readonly number[], step: 1 | -1): boolean {
  const steps = codes.filter((code, at) => code - (codes[at - 1] ?? code) === step)
  return steps.length * 2 > codes.length
}
