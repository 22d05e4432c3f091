import type { Server } from 'node:http'
import type { Socket } from 'node:net'

export type ConnectionLimits = {
  /** Open connections of the whole process; more are closed unanswered. */
  readonly total: number
  /** Open connections of one address: what a slow or greedy client can hold at most. */
  readonly perAddress: number
  /** Addresses that stand for many clients: proxies, Gateways. Counted in the total only. */
  readonly isShared: (address: string) => boolean
}

const defaultLimits: ConnectionLimits = { total: 8192, perAddress: 1024, isShared: () => false }

export function limitConnections(server: Server, limits: Partial<ConnectionLimits> = {}): void {
  const { total, perAddress, isShared } = { ...defaultLimits, ...limits }
  const openByAddress = new Map<string, number>()
  server.maxConnections = total
  server.on('connection', (socket: Socket) => {
    const address = socket.remoteAddress
    if (address === undefined || isShared(address)) return
    const open = (openByAddress.get(address) ?? 0) + 1
    if (open > perAddress) {
      socket.destroy()
      return
    }
    openByAddress.set(address, open)
    socket.once('close', () => release(openByAddress, address))
  })
}

function release(openByAddress: Map<string, number>, address: string): void {
  const left = (openByAddress.get(address) ?? 1) - 1
  if (left === 0) openByAddress.delete(address)
  else openByAddress.set(address, left)
}
