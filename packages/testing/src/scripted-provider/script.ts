import type { Endpoint, Step } from './exchange.ts'

/** What each endpoint is to answer instead of the honest thing. */
export type Script = {
  /** Answers for the next requests to `endpoint`, one each, in this order. Those never asked for fail the test. */
  readonly next: (endpoint: Endpoint, ...steps: readonly Step[]) => void
  /** The answer whenever nothing is queued; `undefined`: the honest one again. */
  readonly always: (endpoint: Endpoint, step: Step | undefined) => void
  readonly take: (endpoint: Endpoint) => Step | undefined
  /** What was scripted and never asked for, in words. */
  readonly unused: () => readonly string[]
}

export function createScript(): Script {
  const queues = new Map<Endpoint, Step[]>()
  const standing = new Map<Endpoint, Step>()
  return {
    next: (endpoint, ...steps) => void queues.set(endpoint, [...(queues.get(endpoint) ?? []), ...steps]),
    always: (endpoint, step) => {
      if (step === undefined) standing.delete(endpoint)
      else standing.set(endpoint, step)
    },
    take: (endpoint) => queues.get(endpoint)?.shift() ?? standing.get(endpoint),
    unused: () =>
      [...queues]
        .filter(([, steps]) => steps.length > 0)
        .map(([endpoint, steps]) => `${steps.length} scripted answers of ${endpoint} were never asked for`),
  }
}
