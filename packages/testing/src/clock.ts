/** A clock that stands still until told otherwise. */
export type ManualClock = {
  /** Milliseconds since 1970, like `Date.now`. */
  readonly now: () => number
  readonly advance: (milliseconds: number) => void
  readonly set: (time: Date) => void
}

export function createManualClock(start: Date = new Date('2026-01-01T00:00:00Z')): ManualClock {
  let time = start.getTime()
  return {
    now: () => time,
    advance: (milliseconds) => {
      time += milliseconds
    },
    set: (to) => {
      time = to.getTime()
    },
  }
}
