import {
  createZoneBody,
  listZonesQuery,
  noQuery,
  removeZoneQuery,
  zone,
  zoneList,
  zoneParams,
  zoneRemoved,
} from '@nexus/contracts'
import type { ZodApp } from '@nexus/service'
import type { BrokerClient } from '../broker/broker-client.ts'
import { describeCaller } from '../http/caller-facts.ts'
import { describeRoute, forAgents } from '../rest/describe-route.ts'
import * as hub from './hub-operations.ts'

export function registerZoneRoutes(app: ZodApp, broker: BrokerClient): void {
  app.get(
    '/v1/hub/zones',
    {
      config: forAgents('hub_list_zones'),
      schema: { ...describeRoute('List zones', { 200: zoneList }, 'hub'), querystring: listZonesQuery },
    },
    (request) => hub.listZones(broker, request.query, describeCaller(request)),
  )
  app.post(
    '/v1/hub/zones',
    {
      config: forAgents('hub_create_zone'),
      schema: {
        ...describeRoute('Create a zone', { 201: zone }, 'hub'),
        querystring: noQuery,
        body: createZoneBody,
      },
    },
    async (request, reply) => {
      const created = await hub.createZone(broker, request.body.name, describeCaller(request))
      return reply.code(201).send(created)
    },
  )
  app.delete(
    '/v1/hub/zones/:zone',
    {
      config: forAgents('hub_remove_zone'),
      schema: {
        ...describeRoute('Remove a zone', { 200: zoneRemoved }, 'hub'),
        params: zoneParams,
        querystring: removeZoneQuery,
      },
    },
    (request) => hub.removeZone(broker, { ...request.params, ...request.query }, describeCaller(request)),
  )
}
