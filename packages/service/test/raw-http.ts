import { once } from 'node:events'
import { connect } from 'node:net'

/** A TCP connection that speaks HTTP only as well as the test wants it to. */
export type RawConnection = Disposable & {
  readonly send: (bytes: string | Uint8Array) => void
  /** Everything that came so far. */
  readonly received: () => string
  /** Resolves as soon as what came matches; rejects when the connection closes before. */
  readonly waitFor: (pattern: RegExp) => Promise<string>
  /** Resolves with everything that came, once the other side has closed. */
  readonly closed: Promise<string>
}

export async function openRaw(port: number): Promise<RawConnection> {
  const socket = connect({ port, host: '127.0.0.1' })
  let text = ''
  const arrivals = new EventTarget()
  const announce = (): unknown => arrivals.dispatchEvent(new Event('change'))
  socket.on('data', (chunk) => {
    text += chunk.toString('latin1')
    announce()
  })
  await once(socket, 'connect')
  // a reset is one way of closing
  socket.on('error', () => undefined)
  const closed = new Promise<string>((resolve) => socket.once('close', () => resolve(text)))
  void closed.then(announce)
  return {
    send: (bytes) => void socket.write(bytes),
    received: () => text,
    waitFor: async (pattern) => {
      while (!pattern.test(text)) {
        if (socket.closed) throw new Error(`closed before ${pattern} came:\n${text}`)
        await once(arrivals, 'change')
      }
      return text
    },
    closed,
    [Symbol.dispose]: () => socket.destroy(),
  }
}

export function request(
  method: string,
  path: string,
  headers: Readonly<Record<string, string>> = {},
  body = '',
): string {
  const lines = Object.entries({ host: 'test', ...headers }).map(([name, value]) => `${name}: ${value}`)
  return [`${method} ${path} HTTP/1.1`, ...lines, '', body].join('\r\n')
}

/** The body of the last answer in what was received. */
export function lastBody(received: string): unknown {
  return JSON.parse(received.slice(received.lastIndexOf('\r\n\r\n') + 4))
}
