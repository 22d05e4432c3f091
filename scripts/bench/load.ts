import { readFileSync } from 'node:fs'
import autocannon from 'autocannon'

export type Measured = {
  readonly requests: number
  readonly rps: number
  readonly p50Ms: number
  readonly p99Ms: number
  readonly failures: number
}

export type ReadRoute = {
  readonly path: (id: string) => string
  readonly headers: (id: string) => Readonly<Record<string, string>>
}

export const gatewayRoute: ReadRoute = { path: (id) => `/v1/token/${id}`, headers: () => ({}) }

/** Loads a route that reads tokens (the Gateway's, unless said) with 32 connections for some seconds, ids at random. */
export async function loadTokenReads(
  url: string,
  ids: readonly string[],
  seconds: number,
  { path, headers }: ReadRoute = gatewayRoute,
): Promise<Measured> {
  const result = await autocannon({
    url,
    connections: 32,
    duration: seconds,
    requests: [
      {
        setupRequest: (request) => {
          const id = ids[Math.floor(Math.random() * ids.length)] ?? ''
          return { ...request, path: path(id), headers: { ...request.headers, ...headers(id) } }
        },
      },
    ],
  })
  return {
    requests: result.requests.total,
    rps: result.requests.average,
    p50Ms: result.latency.p50,
    p99Ms: result.latency.p99,
    failures: result.non2xx + result.errors,
  }
}

/** Processor time that a process and its children have used so far, in microseconds. */
export function readCpuMicroseconds(pid: number): number {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ').filter(Boolean)
  return children.reduce((sum, child) => sum + readOwnCpuMicroseconds(child), readOwnCpuMicroseconds(String(pid)))
}

// user and system time are the 14th and 15th field, in ticks of 10 ms; the 2nd may hold spaces and ends with a parenthesis
function readOwnCpuMicroseconds(pid: string): number {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
      .replace(/^.*\) /s, '')
      .split(' ')
    return (Number(fields[11]) + Number(fields[12])) * 10_000
  } catch {
    // it has ended meanwhile
    return 0
  }
}

/** Resident memory of a process now, in MB. */
export function readRssMb(pid: number): number {
  const [, kilobytes] = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? []
  return Number(kilobytes) / 1024
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN
}
