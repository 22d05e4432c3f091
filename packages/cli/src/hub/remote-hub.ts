import {
  type Hub,
  agentToken,
  agentTokenList,
  createdAgentToken,
  hubStatus,
  zone,
  zoneList,
  zoneRemoved,
} from '@nexus/contracts'
import type { JsonApi } from '../json-api.ts'

/** The hub of a Gateway, by its `/v1/hub`. */
export function createRemoteHub({ send }: JsonApi): Hub {
  return {
    createToken: (body) => send('POST', '/v1/hub/tokens', createdAgentToken, { body }),
    listTokens: ({ show_revoked, match, limit, cursor }) =>
      send('GET', '/v1/hub/tokens', agentTokenList, { query: { show_revoked, match, limit: toCount(limit), cursor } }),
    getToken: (keyId) => send('GET', tokenPath(keyId), agentToken),
    revokeToken: (keyId) => send('DELETE', tokenPath(keyId), agentToken),
    setTokenZone: (keyId, name, permissions) =>
      send('PUT', tokenZonePath(keyId, name), agentToken, { body: { permissions } }),
    removeTokenZone: (keyId, name) => send('DELETE', tokenZonePath(keyId, name), agentToken),
    listZones: ({ limit, cursor }) =>
      send('GET', '/v1/hub/zones', zoneList, { query: { limit: toCount(limit), cursor } }),
    createZone: (name) => send('POST', '/v1/hub/zones', zone, { body: { name } }),
    removeZone: (name, { force }) =>
      send('DELETE', `/v1/hub/zones/${encodeURIComponent(name)}`, zoneRemoved, { query: { force: String(force) } }),
    status: () => send('GET', '/v1/hub/status', hubStatus),
  }
}

function tokenPath(keyId: string): string {
  return `/v1/hub/tokens/${encodeURIComponent(keyId)}`
}

function tokenZonePath(keyId: string, zoneName: string): string {
  return `${tokenPath(keyId)}/zones/${encodeURIComponent(zoneName)}`
}

function toCount(limit: unknown): number | undefined {
  return typeof limit === 'number' ? limit : undefined
}
