/**
 * How a call to a provider ended, as far as others are concerned: it works, it does not, it refuses our client
 * instead of looking at the token, or the call tells nothing of it.
 */
export type CallVerdict =
  | { readonly kind: 'works' }
  | { readonly kind: 'unclear' }
  | { readonly kind: 'fails'; readonly retryAfterSeconds?: number | undefined }
  | { readonly kind: 'refuses_client' }

export type BreakerState = 'closed' | 'open' | 'half_open'

/** A call to a provider: a profile that was changed since is another one, so that nobody waits after it was mended. */
export type PlannedCall = {
  readonly providerId: string
  readonly providerName: string
  readonly profileRevision: number
  /** Whose token is presented. */
  readonly connectionId: string
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
  readonly begin: (planned: PlannedCall) => Call | undefined
  /** Its client is refused where others' tokens are accepted: the token is to blame, and not the profile. */
  readonly isRefusedAlone: (providerId: string, connectionId: string) => boolean
  readonly states: () => ReadonlyMap<string, CircuitState>
}

type Circuit = {
  failures: number
  openings: number
  /** Monotonic milliseconds; undefined while closed. */
  openUntil: number | undefined
  /** The one call that finds out, while half-open, whether it works again. */
  trying: Call | undefined
  /** Connections whose client was refused since a call worked. */
  readonly refused: Set<string>
  /** Those that were refused before another's call worked, and have not worked since. */
  readonly refusedAlone: Set<string>
  readonly profileRevision: number
  readonly providerName: string
}

const failuresToOpen = 5
/** One token can be refused by itself, as one that belongs to an earlier client id is: it holds up nobody else's. */
const refusedToOpen = 3
const mostRefusedAlone = 10_000
const firstOpenSeconds = 15
const longestOpenSeconds = 300
/** An operator who mends a profile should not have to wait for long. */
const longestRefusedSeconds = 60

const closed = { failures: 0, openings: 0, openUntil: undefined, trying: undefined } as const

function createCircuit({ providerName, profileRevision }: PlannedCall): Circuit {
  return { ...closed, refused: new Set(), refusedAlone: new Set(), providerName, profileRevision }
}

/** Whoever was refused until now was so by itself. */
function closeCircuit(circuit: Circuit, connectionId: string): void {
  Object.assign(circuit, closed)
  for (const id of circuit.refused) circuit.refusedAlone.add(id)
  circuit.refused.clear()
  circuit.refusedAlone.delete(connectionId)
  // to take one of them for an outage once more harms little
  if (circuit.refusedAlone.size > mostRefusedAlone) circuit.refusedAlone.clear()
}

export function createCircuitBreakers(monotonicMs: () => number, random: () => number): CircuitBreakers {
  const circuits = new Map<string, Circuit>()
  const isOpen = ({ openUntil }: Circuit): boolean => openUntil !== undefined && monotonicMs() < openUntil

  const open = (circuit: Circuit, leastSeconds: number, mostSeconds: number): void => {
    const seconds = Math.min(firstOpenSeconds * 2 ** Math.min(circuit.openings, 10), longestOpenSeconds)
    circuit.openings += 1
    const wanted = Math.min(Math.max(seconds, leastSeconds), mostSeconds)
    circuit.openUntil = monotonicMs() + 1000 * wanted * (1 + random() / 4)
  }

  const noteRefusal = (circuit: Circuit, connectionId: string): void => {
    if (circuit.refusedAlone.has(connectionId)) return
    circuit.refused.add(connectionId)
    if (circuit.refused.size >= refusedToOpen) open(circuit, 0, longestRefusedSeconds)
  }

  const conclude = (circuit: Circuit, verdict: CallVerdict, connectionId: string, isTry: boolean): void => {
    if (verdict.kind === 'works') return closeCircuit(circuit, connectionId)
    // calls that began before it opened end one after the other: they are one outage, not many
    if (verdict.kind === 'unclear' || (circuit.openUntil !== undefined && !isTry)) return
    if (verdict.kind === 'refuses_client') return noteRefusal(circuit, connectionId)
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
    begin(planned) {
      const { providerId, profileRevision, connectionId } = planned
      const circuit = find(providerId, profileRevision) ?? createCircuit(planned)
      if (allowanceOf(circuit) === 0) return undefined
      circuits.set(providerId, circuit)
      let hasEnded = false
      const call: Call = {
        end(verdict) {
          if (hasEnded) return
          hasEnded = true
          const isTry = circuit.trying === call
          if (isTry) circuit.trying = undefined
          conclude(circuit, verdict, connectionId, isTry)
        },
      }
      circuit.trying = circuit.openUntil === undefined ? undefined : call
      return call
    },
    isRefusedAlone: (providerId, connectionId) => circuits.get(providerId)?.refusedAlone.has(connectionId) ?? false,
    states: () =>
      new Map(
        [...circuits].map(([id, circuit]) => {
          const state = circuit.openUntil === undefined ? 'closed' : isOpen(circuit) ? 'open' : 'half_open'
          return [id, { providerName: circuit.providerName, state }]
        }),
      ),
  }
}
