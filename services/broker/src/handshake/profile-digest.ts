import { sha256 } from '@nexus/crypto'
import type { Provider } from '../providers/provider.ts'

/**
 * What a handshake relies on of its profile. A change of any of it between the link and the callback aborts the handshake,
 * so that a code cannot be sent to an endpoint, or under a client, that the user never saw (H8).
 */
export function digestProfile(provider: Provider, redirectUri: string): Buffer {
  return sha256(
    JSON.stringify([
      provider.issuer ?? null,
      provider.issuerTemplate ?? null,
      provider.enableDiscovery,
      provider.authUrl ?? null,
      provider.tokenUrl ?? null,
      provider.jwksUri ?? null,
      provider.clientId,
      provider.authHeader ?? null,
      redirectUri,
    ]),
  )
}
