/** Who asks for an operation, whatever the transport: what the Broker is told for audit and limits. */
export type Caller = {
  readonly requestId: string
  /** As found by http/client-address: the socket's peer, or what trusted proxies say. */
  readonly address: string
  readonly userAgent: string | undefined
}
