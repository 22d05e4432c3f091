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
import { readManager } from '../agents/routes.ts'
import { hubRoute } from '../http/access.ts'
import { type CreateZoneDeps, createZone } from './create-zone.ts'
import { listZones } from './list-zones.ts'
import { type RemoveZoneDeps, removeZone } from './remove-zone.ts'

export type ZoneRouteDeps = CreateZoneDeps & RemoveZoneDeps

/** `/zones`: whoever manages tokens may see the zones they are for; making and removing them is for administrators. */
export function registerZoneRoutes(app: ZodApp, deps: ZoneRouteDeps): void {
  app.get(
    '/zones',
    {
      config: hubRoute,
      schema: { tags: ['zones'], summary: 'Zones, by name', querystring: listZonesQuery, response: { 200: zoneList } },
    },
    async (request) => listZones(deps.database, readManager(request), request.query),
  )
  app.post(
    '/zones',
    {
      config: hubRoute,
      schema: {
        tags: ['zones'],
        summary: 'Make a zone',
        querystring: noQuery,
        body: createZoneBody,
        response: { 201: zone },
      },
    },
    async (request, reply) => {
      const created = await createZone(deps, readManager(request), request.body.name, request.origin)
      return reply.code(201).send(created)
    },
  )
  app.delete(
    '/zones/:zone',
    {
      config: hubRoute,
      schema: {
        tags: ['zones'],
        summary: 'Remove a zone; with force, disconnect what is connected in it',
        params: zoneParams,
        querystring: removeZoneQuery,
        response: { 200: zoneRemoved },
      },
    },
    async (request) =>
      removeZone(deps, readManager(request), {
        name: request.params.zone,
        force: request.query.force === 'true',
        origin: request.origin,
      }),
  )
}
