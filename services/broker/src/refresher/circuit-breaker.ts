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

/** Keeps this process from calling providers that do not work (one circuit per provider). */
export type CircuitBreakers = {
  /**
   * How many calls may begin now: any number while closed, one to try while half-open, none while open.
   * @param profileRevision - a profile that was changed since is another one: nobody waits after it was mended
   */
  readonly allowance: (providerId: string, profileRevision?: number) => number
  /** Seconds until a call may begin again; 0 while it may. */
  readonly secondsUntilTry: (providerId: string) => number
  /** A call begins; only the first `end` counts. */
  readonly begin: (providerId: string, profileRevision: number) => { readonly end: (verdict: CallVerdict) => void }
  readonly states: () => ReadonlyMap<string, BreakerState>
}

type Circuit = {
  failures: number
  openings: number
  /** Monotonic milliseconds; undefined while closed. */
  openUntil: number | undefined
  isTrying: boolean
  profileRevision: number
}

const failuresToOpen = 5
const firstOpenSeconds = 15
const longestOpenSeconds = 300
/** An operator who mends a profile should not have to wait for long. */
const longestRefusedSeconds = 60

const newCircuit = { failures: 0, openings: 0, openUntil: undefined, isTrying: false } as const

export function createCircuitBreakers(monotonicMs: () => number, random: () => number): CircuitBreakers {
  const circuits = new Map<string, Circuit>()
  const isOpen = ({ openUntil }: Circuit): boolean => openUntil !== undefined && monotonicMs() < openUntil

  const open = (circuit: Circuit, leastSeconds: number, mostSeconds: number): void => {
    const seconds = Math.min(firstOpenSeconds * 2 ** Math.min(circuit.openings, 10), longestOpenSeconds)
    circuit.openings += 1
    const wanted = Math.min(Math.max(seconds, leastSeconds), mostSeconds)
    circuit.openUntil = monotonicMs() + 1000 * wanted * (1 + random() / 4)
  }

  const conclude = (circuit: Circuit, verdict: CallVerdict): void => {
    if (verdict.kind === 'works') {
      Object.assign(circuit, { failures: 0, openings: 0, openUntil: undefined })
      return
    }
    if (verdict.kind === 'unclear') return
    if (verdict.kind === 'refuses_client') return open(circuit, 0, longestRefusedSeconds)
    circuit.failures += 1
    // calls that began before it opened end one after the other: they are one outage, not many
    if (isOpen(circuit)) return
    if (circuit.failures >= failuresToOpen) open(circuit, verdict.retryAfterSeconds ?? 0, longestOpenSeconds)
  }

  return {
    allowance(providerId, profileRevision = 0) {
      const circuit = circuits.get(providerId)
      if (circuit?.openUntil === undefined || circuit.profileRevision < profileRevision) return Number.POSITIVE_INFINITY
      return isOpen(circuit) || circuit.isTrying ? 0 : 1
    },
    secondsUntilTry(providerId) {
      const circuit = circuits.get(providerId)
      if (circuit?.openUntil === undefined) return 0
      const left = (circuit.openUntil - monotonicMs()) / 1000
      return left > 0 ? left : circuit.isTrying ? 1 : 0
    },
    begin(providerId, profileRevision) {
      const known = circuits.get(providerId)
      const isKnown = known !== undefined && known.profileRevision >= profileRevision
      const circuit = isKnown ? known : { ...newCircuit, profileRevision }
      circuits.set(providerId, circuit)
      const isTry = circuit.openUntil !== undefined
      if (isTry) circuit.isTrying = true
      let hasEnded = false
      return {
        end(verdict) {
          if (hasEnded) return
          hasEnded = true
          if (isTry) circuit.isTrying = false
          conclude(circuit, verdict)
        },
      }
    },
    states: () =>
      new Map(
        [...circuits].map(([id, circuit]) => [
          id,
          circuit.openUntil === undefined ? 'closed' : isOpen(circuit) ? 'open' : 'half_open',
        ]),
      ),
  }
}
