import { once } from 'node:events'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { createByteCut, createPatternCut, type Cut } from './tcp-proxy-cuts.ts'

/** Which way bytes flow. */
export type Direction = 'to-server' | 'to-client'

/** A cut that waits for its moment. It happens once. */
export type PendingCut = {
  /** Resolves when the connection was cut. */
  readonly happened: Promise<void>
  readonly cancel: () => void
}

/** A proxy in front of a server (PostgreSQL, Redis, HTTP) that behaves like a bad network. */
export type TcpProxy = AsyncDisposable & {
  readonly port: number
  /** `serverUrl` with this proxy's address in it. */
  readonly url: (serverUrl: string) => string
  readonly openConnections: () => number
  /** Resets every open connection; new ones are accepted. */
  readonly cutAll: () => void
  /** Resets every connection and refuses new ones, as if the server were not there. */
  readonly refuse: () => Promise<void>
  /** Accepts connections again, on the same port. */
  readonly accept: () => Promise<void>
  /** Holds the bytes of all connections back, present and future; nothing is lost. */
  readonly pause: (direction?: Direction) => void
  readonly resume: () => void
  /** Cuts the first connection that carries `bytes` bytes from now on; those are still delivered. */
  readonly cutAfterBytes: (direction: Direction, bytes: number) => PendingCut
  /**
   * Cuts the connection on which `pattern` appears for the `occurrence`th time (default: the first). The pattern's last
   * byte is never delivered, unless `deliver` is set: then it is, and the connection is cut right behind it.
   *
   * @example
   *   // PostgreSQL has committed, and its client will never know
   *   proxy.cutOnPattern('to-client', 'COMMIT\0')
   */
  readonly cutOnPattern: (direction: Direction, pattern: string | Uint8Array, options?: PatternOptions) => PendingCut
}

export type PatternOptions = { readonly occurrence?: number; readonly deliver?: boolean }

type Connection = { readonly client: Socket; readonly server: Socket }

type State = {
  readonly connections: Set<Connection>
  readonly cuts: Set<Cut>
  readonly paused: Set<Direction>
}

/** Starts a proxy on a free port of 127.0.0.1 in front of `target`. */
export async function startTcpProxy(target: { readonly host?: string; readonly port: number }): Promise<TcpProxy> {
  const state: State = { connections: new Set(), cuts: new Set(), paused: new Set() }
  const accepting = createServer({ allowHalfOpen: true }, (client) => join(state, client, target))
  const port = await listen(accepting, 0)
  const cutAll = (): void => {
    for (const connection of state.connections) reset(connection)
  }
  const refuse = async (): Promise<void> => {
    if (!accepting.listening) return
    accepting.close()
    cutAll()
    await once(accepting, 'close')
  }
  return {
    port,
    url: (serverUrl) => withAddress(serverUrl, port),
    openConnections: () => state.connections.size,
    cutAll,
    refuse,
    accept: async () => {
      if (!accepting.listening) await listen(accepting, port)
    },
    pause: (direction) => pause(state, direction === undefined ? ['to-server', 'to-client'] : [direction]),
    resume: () => resume(state),
    cutAfterBytes: (direction, bytes) => arm(state, (done) => createByteCut(direction, bytes, done)),
    cutOnPattern: (direction, pattern, options) =>
      arm(state, (done) => createPatternCut(direction, Buffer.from(pattern), options ?? {}, done)),
    [Symbol.asyncDispose]: refuse,
  }
}

async function listen(server: Server, port: number): Promise<number> {
  server.listen(port, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('a TCP server has no port')
  return address.port
}

function withAddress(serverUrl: string, port: number): string {
  const url = new URL(serverUrl)
  url.hostname = '127.0.0.1'
  url.port = String(port)
  return url.href
}

function arm(state: State, create: (done: () => void) => Cut): PendingCut {
  const { promise, resolve } = Promise.withResolvers<void>()
  const cut = create(resolve)
  state.cuts.add(cut)
  return { happened: promise, cancel: () => void state.cuts.delete(cut) }
}

function pause(state: State, directions: readonly Direction[]): void {
  for (const direction of directions) {
    state.paused.add(direction)
    for (const connection of state.connections) sourceOf(connection, direction).pause()
  }
}

function resume(state: State): void {
  state.paused.clear()
  for (const { client, server } of state.connections) for (const socket of [client, server]) socket.resume()
}

function sourceOf({ client, server }: Connection, direction: Direction): Socket {
  return direction === 'to-server' ? client : server
}

function join(state: State, client: Socket, target: { readonly host?: string; readonly port: number }): void {
  const server = connect({ host: target.host ?? '127.0.0.1', port: target.port, allowHalfOpen: true })
  const connection = { client, server }
  state.connections.add(connection)
  carry(state, connection, 'to-server', client, server)
  carry(state, connection, 'to-client', server, client)
}

function carry(state: State, connection: Connection, direction: Direction, from: Socket, to: Socket): void {
  from.setNoDelay(true)
  from.on('data', (chunk: Buffer) => {
    const cut = dueCut(state, connection, direction, chunk)
    if (cut !== undefined) return sever(state, connection, to, chunk.subarray(0, cut.deliver), cut.done)
    if (to.write(chunk)) return
    from.pause()
    to.once('drain', () => state.paused.has(direction) || from.resume())
  })
  from.on('end', () => to.end())
  from.on('error', () => reset(connection))
  from.on('close', () => {
    to.destroySoon()
    state.connections.delete(connection)
  })
  if (state.paused.has(direction)) from.pause()
}

function dueCut(
  state: State,
  connection: Connection,
  direction: Direction,
  chunk: Buffer,
): { deliver: number; done: () => void } | undefined {
  for (const cut of state.cuts) {
    const deliver = cut.direction === direction ? cut.inspect(connection, chunk) : undefined
    if (deliver === undefined) continue
    state.cuts.delete(cut)
    return { deliver, done: cut.done }
  }
  return undefined
}

/** Delivers what may still pass, then closes both ends without another byte in either direction. */
function sever(state: State, connection: Connection, to: Socket, last: Buffer, done: () => void): void {
  for (const socket of [connection.client, connection.server]) socket.removeAllListeners('data').pause()
  to.write(last, () => {
    connection.client.destroy()
    connection.server.destroy()
    state.connections.delete(connection)
    done()
  })
}

function reset({ client, server }: Connection): void {
  for (const socket of [client, server]) socket.resetAndDestroy()
}
