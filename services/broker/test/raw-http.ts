import { once } from 'node:events'
import { connect } from 'node:net'

export type RawAnswer = { readonly status: number; readonly head: string; readonly body: string }

/** Header lines as they go over the wire: names may repeat, values are bytes. */
export type RawHeader = readonly [name: string, value: string | Buffer]

/**
 * Sends one request whose headers `fetch` would refuse or mend, and reads until the other side closes. `Connection:
 * close` and a length are added.
 */
export async function sendRaw(
  url: string,
  { method = 'GET', path, headers, body = '' }: RawRequest,
): Promise<RawAnswer> {
  const { hostname, port, host } = new URL(url)
  const socket = connect({ host: hostname, port: Number(port) })
  await once(socket, 'connect')
  const chunks: Buffer[] = []
  socket.on('data', (chunk) => void chunks.push(chunk))
  // a reset after the answer is one way of closing
  socket.on('error', () => undefined)
  const all: readonly RawHeader[] = [
    ['Host', host],
    ['Connection', 'close'],
    ...(body === '' ? [] : [['Content-Length', String(Buffer.byteLength(body))] as const]),
    ...headers,
  ]
  const lines = all.map(([name, value]) =>
    Buffer.concat([Buffer.from(`${name}: `), Buffer.from(value), Buffer.from('\r\n')]),
  )
  socket.write(Buffer.concat([Buffer.from(`${method} ${path} HTTP/1.1\r\n`), ...lines, Buffer.from(`\r\n${body}`)]))
  await once(socket, 'close')
  return parse(Buffer.concat(chunks).toString('latin1'))
}

export type RawRequest = {
  readonly method?: string
  readonly path: string
  readonly headers: readonly RawHeader[]
  readonly body?: string
}

function parse(text: string): RawAnswer {
  const end = text.indexOf('\r\n\r\n')
  const head = text.slice(0, end)
  const status = Number(/^HTTP\/1\.1 (\d{3})/.exec(head)?.[1] ?? 0)
  return { status, head, body: text.slice(end + 4) }
}
