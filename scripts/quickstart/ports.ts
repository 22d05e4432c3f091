import { once } from 'node:events'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:net'
import { join } from 'node:path'
import { portNames, titles, type Options, type PortName, type Ports } from './options.ts'

type Reservation = { readonly name: PortName; readonly port: number; readonly server: Server }

/**
 * Turns the ports asked for into ports that are free right now. Where any port will do, the one of the last run is
 * taken if it is free: the demo provider's address is part of its identity, and links stay valid.
 *
 * @throws Error that names every port that is taken, and how to choose others
 */
export const choosePorts = async ({ ports, dataDir, databaseUrl }: Options): Promise<Ports> => {
  const file = join(dataDir, 'ports.json')
  const earlier = readEarlier(file)
  const needed = portNames.filter((name) => name !== 'postgres' || databaseUrl === undefined)
  const reservations: Reservation[] = []
  const faults: string[] = []
  // all are held until the last is found, or two could get the same one
  for (const name of needed) {
    try {
      reservations.push({ name, ...(await reserve(ports[name], earlier[name])) })
    } catch (error) {
      faults.push(`port ${ports[name]} (${titles[name]}) ${explain(error)}`)
    }
  }
  await Promise.all(reservations.map(({ server }) => close(server)))
  if (faults.length > 0) {
    throw new Error(
      `${faults.join(', ')}: choose others with npm start -- --port-offset 100, or --help for each of them`,
    )
  }
  const chosen = { ...ports, ...Object.fromEntries(reservations.map(({ name, port }) => [name, port])) }
  writeFileSync(file, JSON.stringify(chosen))
  return chosen
}

const reserve = async (wanted: number, earlier: number | undefined): Promise<{ port: number; server: Server }> => {
  if (wanted !== 0) return listen(wanted)
  return listen(earlier ?? 0).catch(() => listen(0))
}

const listen = async (port: number): Promise<{ port: number; server: Server }> => {
  const server = createServer().listen(port, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('a TCP server has no port')
  return { port: address.port, server }
}

const close = async (server: Server): Promise<void> => {
  server.close()
  await once(server, 'close')
}

const explain = (error: unknown): string => {
  const code = error instanceof Error && 'code' in error ? error.code : undefined
  if (code === 'EADDRINUSE') return 'is taken'
  return code === 'EACCES' ? 'is reserved for root' : `cannot be used (${String(code ?? error)})`
}

const readEarlier = (file: string): Partial<Ports> => {
  if (!existsSync(file)) return {}
  try {
    const parsed: unknown = JSON.parse(readFileSync(file, 'utf8'))
    const entries = typeof parsed === 'object' && parsed !== null ? Object.entries(parsed) : []
    return Object.fromEntries(entries.filter(([, port]) => Number.isInteger(port)))
  } catch {
    // half-written by a run that was killed; it is only a preference
    return {}
  }
}
