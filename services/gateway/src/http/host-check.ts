import type { IncomingHttpHeaders } from 'node:http'
import { isIP } from 'node:net'
import { AppError, type ZodApp } from '@nexus/service'

/**
 * Refuses calls of agents that name a foreign host, where agents are not asked who they are: a web page whose name was
 * made to resolve to this machine (DNS rebinding) could else read every connection from a visitor's browser. Such a page
 * always calls under a name with a dot, so addresses, `localhost` and names without a dot are safe; others are listed.
 *
 * A call that a proxy brought is refused too unless its name is listed: proxies often write a local name over the one
 * that was asked for, and one that was meant for the public `/auth/*` would publish every connection.
 *
 * @param allowedHosts - further names, as in ALLOWED_HOSTS
 */
export function installHostCheck(app: ZodApp, allowedHosts: readonly string[]): void {
  const allowed = new Set(allowedHosts.map((host) => host.toLowerCase()))
  app.addHook('onRequest', async (request) => {
    if (request.routeOptions.config.openTo !== 'agents') return
    const isLocal = isLocalName(request.hostname, allowed) && !isForwarded(request.headers)
    if (isLocal || allowed.has(request.hostname.toLowerCase())) return
    throw new AppError('forbidden', 'This host name is not allowed while agents are anonymous; see ALLOWED_HOSTS', {
      details: { setting: 'ALLOWED_HOSTS' },
    })
  })
}

const forwardingHeaders = ['forwarded', 'x-forwarded-for', 'x-forwarded-host', 'x-forwarded-proto', 'x-real-ip', 'via']

function isForwarded(headers: IncomingHttpHeaders): boolean {
  return forwardingHeaders.some((name) => headers[name] !== undefined)
}

/** @param hostname - without port, as Fastify reads it: an IPv6 address stands in brackets */
export function isLocalName(hostname: string, allowed: ReadonlySet<string>): boolean {
  const name = hostname.toLowerCase()
  const address = name.replace(/^\[(.*)\]$/, '$1')
  if (isIP(address) !== 0 || name === 'localhost' || name.endsWith('.localhost')) return true
  return /^[a-z0-9_-]+$/.test(name) || allowed.has(name)
}
