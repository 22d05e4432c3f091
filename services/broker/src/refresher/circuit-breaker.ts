/**
 * How a call to a provider ended, as far as others are concerned: it works, it does not, it refuses our client whoever's
 * token is presented, or the call tells nothing of it.
 */
export type CallVerdict =
  | { readonly kind: 'works' }
  | { readonly kind: 'unclear' }
  | { readonly kind: 'fails'; readonly retryAfterSeconds?: number | undefined }
  | { readonly kind: 'refuses_client' }

export type BreakerState = 'closed' | 'open' | 'half_open'

/** A provider as it is called: a profile that was changed since is another one, so that nobody waits after it was mended. */
export type CalledProvider = {
  readonly providerId: string
  readonly providerName: string
  readonly profileRevision: number
}

/** A call that began; only the first `end` counts. */
export type Call = { readonly end: (verdict: CallVerdict) => void }

export type CircuitState = { readonly providerName: string; readonly state: BreakerState }

/** Keeps this process from calling providers that do not work (one circuit per provider). */
export type CircuitBreakers = {
  /** How many calls may begin now: any number while closed, one to try while half-open, none while open. */
  readonly allowance: (providerId: string, profileRevision?: number) => number
  /** Seconds until a call may begin again; 0 while it may. */
  readonly secondsUntilTry: (providerId: string) => number
  /** undefined: no call may begin now. Of many that ask at once, one gets the try. */
  readonly begin: (provider: CalledProvider) => Call | undefined
  readonly states: () => ReadonlyMap<string, CircuitState>
}

type Circuit = {
  failures: number
  openings: number
  /** Monotonic milliseconds; undefined while closed. */
  openUntil: number | undefined
  /** The one call that finds out, while half-open, whether it works again. */
  trying: Call | undefined
  readonly profileRevision: number
  readonly providerName: string
}

const failuresToOpen = 5
const firstOpenSeconds = 15
const longestOpenSeconds = 300
/** An operator who mends a profile should not have to wait for long. */
const longestRefusedSeconds = 60

const newCircuit = { failures: 0, openings: 0, openUntil: undefined, trying: undefined } as const

export function createCircuitBreakers(monotonicMs: () => number, random: () => number): CircuitBreakers {
  const circuits = new Map<string, Circuit>()
  const isOpen = ({ openUntil }: Circuit): boolean => openUntil !== undefined && monotonicMs() < openUntil

  const open = (circuit: Circuit, leastSeconds: number, mostSeconds: number): void => {
    const seconds = Math.min(firstOpenSeconds * 2 ** Math.min(circuit.openings, 10), longestOpenSeconds)
    circuit.openings += 1
    const wanted = Math.min(Math.max(seconds, leastSeconds), mostSeconds)
    circuit.openUntil = monotonicMs() + 1000 * wanted * (1 + random() / 4)
  }

  const conclude = (circuit: Circuit, verdict: CallVerdict, isTry: boolean): void => {
    if (verdict.kind === 'works') {
      Object.assign(circuit, newCircuit)
      return
    }
    // calls that began before it opened end one after the other: they are one outage, not many
    if (verdict.kind === 'unclear' || (circuit.openUntil !== undefined && !isTry)) return
    if (verdict.kind === 'refuses_client') return open(circuit, 0, longestRefusedSeconds)
    circuit.failures += 1
    if (isTry || circuit.failures >= failuresToOpen) {
      open(circuit, verdict.retryAfterSeconds ?? 0, longestOpenSeconds)
    }
  }

  const allowanceOf = (circuit: Circuit | undefined): number => {
    if (circuit?.openUntil === undefined) return Number.POSITIVE_INFINITY
    return isOpen(circuit) || circuit.trying !== undefined ? 0 : 1
  }

  const find = (providerId: string, profileRevision: number): Circuit | undefined => {
    const circuit = circuits.get(providerId)
    return circuit !== undefined && circuit.profileRevision >= profileRevision ? circuit : undefined
  }

  return {
    allowance: (providerId, profileRevision = 0) => allowanceOf(find(providerId, profileRevision)),
    secondsUntilTry(providerId) {
      const circuit = circuits.get(providerId)
      if (circuit?.openUntil === undefined) return 0
      const left = (circuit.openUntil - monotonicMs()) / 1000
      return left > 0 ? left : circuit.trying === undefined ? 0 : 1
    },
    begin({ providerId, providerName, profileRevision }) {
      const circuit = find(providerId, profileRevision) ?? { ...newCircuit, providerName, profileRevision }
      if (allowanceOf(circuit) === 0) return undefined
      circuits.set(providerId, circuit)
      let hasEnded = false
      const call: Call = {
        end(verdict) {
          if (hasEnded) return
          hasEnded = true
          const isTry = circuit.trying === call
          if (isTry) circuit.trying = undefined
          conclude(circuit, verdict, isTry)
        },
      }
      circuit.trying = circuit.openUntil === undefined ? undefined : call
      return call
    },
    states: () =>
      new Map(
        [...circuits].map(([id, circuit]) => {
          const state = circuit.openUntil === undefined ? 'closed' : isOpen(circuit) ? 'open' : 'half_open'
          return [id, { providerName: circuit.providerName, state }]
        }),
      ),
  }
}
