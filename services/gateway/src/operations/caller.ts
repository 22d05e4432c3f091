import type { Secret } from '@nexus/config'

/** Who asks for an operation, whatever the transport: what the Broker is told for audit and limits. */
export type Caller = {
  readonly requestId: string
  /** As found by http/client-address: the socket's peer, or what trusted proxies say. */
  readonly address: string
  readonly userAgent: string | undefined
  /** Only where agents call; what browsers send along with a public request is nobody's credential. */
  readonly agent: CallingAgent | undefined
}

/** An agent as it presents itself: the Broker judges its token, and says here what it found. */
export type CallingAgent = {
  /** undefined: none was sent, and none is asked for. */
  readonly token: Secret<string> | undefined
  /** Where it wants to act, as named by X-Nexus-Zone-ID. */
  readonly zone: string | undefined
  /** @param header - X-Nexus-Identity */
  readonly onTaken: (header: string | readonly string[]) => void
  readonly onRefused: () => void
}
