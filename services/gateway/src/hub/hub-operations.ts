import {
  agentToken,
  agentTokenList,
  createdAgentToken,
  hubStatus,
  zone as zoneAnswer,
  zoneList,
  zoneRemoved,
  type AgentToken,
  type AgentTokenList,
  type CreateAgentToken,
  type CreatedAgentToken,
  type HubStatus,
  type ListAgentTokens,
  type Zone,
  type ZoneList,
  type ZoneRemoved,
} from '@nexus/contracts'
import type { BrokerClient } from '../broker/broker-client.ts'
import type { Caller } from '../operations/caller.ts'
import { withQuery } from '../operations/with-query.ts'

/** The answer holds the token, this once. */
export function createToken(
  broker: BrokerClient,
  wanted: CreateAgentToken,
  caller: Caller,
): Promise<CreatedAgentToken> {
  return broker.call({ method: 'POST', path: '/agent-tokens', body: wanted, answer: createdAgentToken }, caller)
}

export function listTokens(broker: BrokerClient, query: ListAgentTokens, caller: Caller): Promise<AgentTokenList> {
  return broker.call({ method: 'GET', path: withQuery('/agent-tokens', query), answer: agentTokenList }, caller)
}

export function getToken(broker: BrokerClient, keyId: string, caller: Caller): Promise<AgentToken> {
  return broker.call({ method: 'GET', path: tokenPath(keyId), answer: agentToken }, caller)
}

export function revokeToken(broker: BrokerClient, keyId: string, caller: Caller): Promise<AgentToken> {
  return broker.call({ method: 'DELETE', path: tokenPath(keyId), answer: agentToken }, caller)
}

type TokenZone = { readonly key_id: string; readonly zone: string }

export function setTokenZone(
  broker: BrokerClient,
  { permissions, ...tokenZone }: TokenZone & { readonly permissions: string },
  caller: Caller,
): Promise<AgentToken> {
  const path = tokenZonePath(tokenZone)
  return broker.call({ method: 'PUT', path, body: { permissions }, answer: agentToken }, caller)
}

export function removeTokenZone(broker: BrokerClient, tokenZone: TokenZone, caller: Caller): Promise<AgentToken> {
  return broker.call({ method: 'DELETE', path: tokenZonePath(tokenZone), answer: agentToken }, caller)
}

export function listZones(
  broker: BrokerClient,
  query: Readonly<Record<string, string | number | undefined>>,
  caller: Caller,
): Promise<ZoneList> {
  return broker.call({ method: 'GET', path: withQuery('/zones', query), answer: zoneList }, caller)
}

export function createZone(broker: BrokerClient, name: string, caller: Caller): Promise<Zone> {
  return broker.call({ method: 'POST', path: '/zones', body: { name }, answer: zoneAnswer }, caller)
}

export function removeZone(
  broker: BrokerClient,
  { zone, force }: { readonly zone: string; readonly force: string },
  caller: Caller,
): Promise<ZoneRemoved> {
  const path = withQuery(`/zones/${encodeURIComponent(zone)}`, { force })
  return broker.call({ method: 'DELETE', path, answer: zoneRemoved, patience: 'long' }, caller)
}

export function readStatus(broker: BrokerClient, caller: Caller): Promise<HubStatus> {
  return broker.call({ method: 'GET', path: '/hub/status', answer: hubStatus }, caller)
}

function tokenPath(keyId: string): string {
  return `/agent-tokens/${encodeURIComponent(keyId)}`
}

function tokenZonePath({ key_id, zone }: TokenZone): string {
  return `${tokenPath(key_id)}/zones/${encodeURIComponent(zone)}`
}
