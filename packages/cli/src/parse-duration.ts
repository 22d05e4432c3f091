import { UsageError } from './errors.ts'

const secondsOf: Readonly<Record<string, number>> = { d: 86_400, h: 3_600, m: 60, s: 1 }

export type DurationRange = {
  /** Of `dhms`. */
  readonly units: string
  readonly minSeconds: number
  readonly maxSeconds: number
  /** How people write it. */
  readonly example: string
}

/** `90d`, `24h`, `30m` in seconds. @throws UsageError that names the option */
export function parseDuration(option: string, text: string, range: DurationRange): number {
  const [, count = '', unit = ''] = /^(\d+)([a-z])$/.exec(text) ?? []
  const seconds = range.units.includes(unit) ? Number(count) * (secondsOf[unit] ?? 0) : 0
  if (seconds >= range.minSeconds && seconds <= range.maxSeconds) return seconds
  throw new UsageError(`${option} takes ${range.example}, not ${JSON.stringify(text)}`)
}
