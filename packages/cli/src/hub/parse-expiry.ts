import { parseDuration } from '../parse-duration.ts'

const range = {
  units: 'dhm',
  minSeconds: 60,
  maxSeconds: 315_360_000,
  example: 'days, hours or minutes up to ten years, as 90d, 24h or 30m',
}

/** Seconds until a token ends. @throws UsageError */
export function parseExpiry(text: string): number {
  return parseDuration('--expires', text, range)
}
