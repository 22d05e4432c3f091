import type { IncomingHttpHeaders } from 'node:http'

export type Endpoint = 'discovery' | 'jwks' | 'authorize' | 'token' | 'userinfo' | 'revocation'

/** A request as it came in. */
export type RecordedRequest = {
  readonly endpoint: Endpoint | undefined
  readonly method: string
  readonly path: string
  readonly query: URLSearchParams
  readonly headers: IncomingHttpHeaders
  readonly body: string
  /** The body as form fields; empty if it is no form. */
  readonly form: URLSearchParams
  /** Monotonic milliseconds. */
  readonly at: number
}

/** What goes out. */
export type Answer =
  | {
      readonly kind: 'reply'
      readonly status: number
      readonly headers: Readonly<Record<string, string>>
      readonly body: string
    }
  | {
      readonly kind: 'json'
      readonly status: number
      readonly headers: Readonly<Record<string, string>>
      readonly fields: Readonly<Record<string, unknown>>
    }
  /** The connection is closed before the first byte, or in the middle of the body. */
  | { readonly kind: 'cut'; readonly midway: boolean }
  /** Nothing, or one byte now and then, until the other side gives up. */
  | { readonly kind: 'stall'; readonly drips: boolean }

/** A request that waits for its answer. */
export type Exchange = {
  readonly request: RecordedRequest
  /** Does what an honest provider does, effects included, and returns its answer without sending it. */
  readonly honest: () => Promise<Answer>
}

/** One scripted answer: as it stands, or worked out from the request. */
export type Step = Answer | ((exchange: Exchange) => Answer | Promise<Answer>)
