const longestSeconds = 86_400

/**
 * Seconds to wait by `Retry-After`, in either form (RFC 9110 §10.2.3), at most a day; undefined when there is none or it
 * is not readable. A date is measured against the answer's own `Date`, so that neither clock has to be right.
 *
 * @param nowMs - host time in milliseconds, for answers without `Date`.
 */
export function readRetryAfterSeconds(headers: Headers, nowMs: number): number | undefined {
  const value = headers.get('retry-after')?.trim() ?? ''
  if (/^\d{1,15}$/.test(value)) return Math.min(Number(value), longestSeconds)
  const at = parseHttpDate(value)
  if (at === undefined) return undefined
  const answeredAt = parseHttpDate(headers.get('date') ?? '') ?? nowMs
  return Math.min(Math.max(Math.ceil((at - answeredAt) / 1000), 0), longestSeconds)
}

/** Only what looks like an HTTP-date: `Date.parse` alone takes a lone number for a year. */
function parseHttpDate(text: string): number | undefined {
  if (!/^[A-Z][a-z]{2,8},? .*\d{2}:\d{2}:\d{2}/.test(text)) return undefined
  // The oldest of the three forms names no zone, and means GMT too.
  const milliseconds = Date.parse(text.endsWith('GMT') ? text : `${text} GMT`)
  return Number.isNaN(milliseconds) ? undefined : milliseconds
}
