/** The same request with these headers in place of its own of the same name. */
export function withHeaders(request: Request, added: Readonly<Record<string, string>>): Request {
  return new Request(request, { headers: mergeHeaders(request.headers, added) })
}

export type Derivation = {
  readonly url?: string
  /** All of them. */
  readonly headers: Headers
  /** As `bytesOf` has read it. */
  readonly body: Uint8Array<ArrayBuffer> | undefined
}

/** The same request after its body was read. */
export function withBody(request: Request, { url, headers, body }: Derivation): Request {
  const { method, redirect, signal } = request
  return new Request(url ?? request.url, { method, headers, redirect, signal, ...(body !== undefined && { body }) })
}

/** All of a body; undefined when there is none. */
export async function bytesOf(request: Request): Promise<Uint8Array<ArrayBuffer> | undefined> {
  return request.body === null ? undefined : new Uint8Array(await request.arrayBuffer())
}

export function mergeHeaders(given: Headers, added: Readonly<Record<string, string>>): Headers {
  const headers = new Headers(given)
  for (const [name, value] of Object.entries(added)) headers.set(name, value)
  return headers
}
