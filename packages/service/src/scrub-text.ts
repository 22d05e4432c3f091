export const redacted = '[redacted]'

type Rule = readonly [pattern: RegExp, replacement: string]

const parameterNames = [
  'code',
  'state',
  'ticket',
  'nonce',
  'password',
  'assertion',
  'signature',
  'session_state',
  '(?:[a-z_]*_)?(?:token|secret|key|verifier)',
].join('|')

/** Shapes of secrets that may stand inside a longer text: a URL in a library's message, a header that was quoted. */
const rules: readonly Rule[] = [
  [/\b(Bearer|Basic|DPoP)\s+[A-Za-z0-9._~+/=-]{6,}/gi, `$1 ${redacted}`],
  [new RegExp(`(?<![\\w-])((?:${parameterNames})=)[^&\\s"'\\\\#;]+`, 'gi'), `$1${redacted}`],
  [/(\/auth\/connect\/)[A-Za-z0-9_%-]+/g, `$1${redacted}`],
  // an agent token keeps its public part, by which people find it
  [/\b(sk-[a-z0-9-]{0,8}_[a-z0-9-]{0,8}_[0-9a-f]{8}_)[A-Za-z0-9_-]{43}/g, `$1${redacted}`],
  [/(?<![\w-])eyJ[A-Za-z0-9_-]{5,}\.[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]*){1,3}/g, redacted],
  // no further than to where the next one would begin: in a text full of beginnings each would else look for its end in all of it
  [/((?<=[a-z0-9+.-]):\/\/[^\s/:@"\\]*:)(?:(?!:\/\/)[^\s@"\\])+@/gi, `$1${redacted}@`],
]

/** Second line of defence for texts nobody of us wrote; what has a name is redacted by its name (`redactFields`). */
export function scrubText(text: string): string {
  return rules.reduce((scrubbed, [pattern, replacement]) => scrubbed.replace(pattern, replacement), text)
}
