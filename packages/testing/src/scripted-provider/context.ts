import type { Behaviour } from './behaviour.ts'
import type { ScriptedClient } from './clients.ts'
import type { Answer } from './exchange.ts'
import type { Grants } from './grants.ts'
import type { SigningKeys } from './signing-keys.ts'

/** What every endpoint of a scripted provider works with. */
export type ProviderContext = {
  readonly issuer: string
  readonly clients: ReadonlyMap<string, ScriptedClient>
  readonly grants: Grants
  readonly keys: SigningKeys
  readonly behaviour: () => Behaviour
  readonly pkce: 'required' | 'optional'
  /** Milliseconds since 1970. */
  readonly now: () => number
  /** Remembers a breach of protocol by the client. */
  readonly noteViolation: (violation: string) => void
}

/** Parameters must not be given twice (RFC 6749 §3.1 and §3.2). */
export function duplicatedParameter(parameters: URLSearchParams): string | undefined {
  return [...new Set(parameters.keys())].find((name) => parameters.getAll(name).length > 1)
}

/** Refuses a breach of protocol, and remembers it: the client may hide the refusal from the test. */
export function refuse(context: ProviderContext, violation: string, answer: Answer): Answer {
  context.noteViolation(violation)
  return answer
}
