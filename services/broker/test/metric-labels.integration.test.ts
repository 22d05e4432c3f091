import { randomBytes, randomUUID } from 'node:crypto'
import { test as base } from '@nexus/testing/vitest'
import { expect } from 'vitest'
import { openPlainConnection } from './connection-scene.ts'
import { setSecondsLeft } from './database-tools.ts'
import { type Client, readToken, startTestBroker } from './harness.ts'
import { collectRoutes, listRoutes } from './route-list.ts'
import { sendRaw } from './raw-http.ts'

const test = base.extend('routed', { scope: 'file' }, async ({ database }, { onCleanup }) => {
  const env = { AUTH_RATE_LIMIT_PER_MINUTE: '0' }
  const { result: broker, routes } = await collectRoutes(() => startTestBroker(database, { env }))
  onCleanup(() => broker[Symbol.asyncDispose]())
  return { broker, patterns: new Set(listRoutes(routes).map(({ pattern }) => pattern)) }
})

/** The values of each label of our own metrics. */
async function readLabels(broker: Client): Promise<ReadonlyMap<string, ReadonlySet<string>>> {
  const { text } = await broker.get('/metrics')
  const labels = new Map<string, Set<string>>()
  for (const [, metric = '', list = ''] of text.matchAll(/^(nexus_\w+)\{([^}]*)\}/gm)) {
    for (const [, name = '', value = ''] of list.matchAll(/(\w+)="([^"]*)"/g)) {
      if (name === 'le') continue
      const key = `${metric.replace(/_(bucket|sum|count)$/, '')}.${name}`
      labels.set(key, (labels.get(key) ?? new Set()).add(value))
    }
  }
  return labels
}

const junk = (): string => randomBytes(8).toString('hex')

test('[L3] no path, id, method or header of a caller becomes a label', async ({ routed: { broker, patterns } }) => {
  for (let n = 0; n < 40; n++) {
    await Promise.all([
      broker.get(`/${junk()}/${junk()}`),
      broker.get(`/connections/${randomUUID()}/token`),
      broker.get(`/connections/${junk()}?${junk()}=${junk()}`),
      broker.get(`/auth/connect/${junk()}`, { key: undefined }),
      broker.get(`/auth/callback/${junk()}?state=${junk()}`, { key: undefined }),
      broker.get('/connections', { key: junk(), headers: { 'x-request-id': junk(), 'user-agent': junk() } }),
      broker.post('/auth/consent-spec', { workspace_id: junk(), provider_name: junk() }),
    ])
  }
  for (const method of ['PROPFIND', 'MKCOL', 'LINK', 'M-SEARCH', 'PURGE', 'REPORT']) {
    await sendRaw(broker.url, { method, path: `/${junk()}`, headers: [] })
  }
  const labels = await readLabels(broker)
  const routes = labels.get('nexus_http_requests_total.route') ?? new Set()
  expect([...routes].filter((route) => !patterns.has(route))).toEqual(['unmatched'])
  expect(routes.size).toBeGreaterThan(5)
  const methods = ['DELETE', 'GET', 'HEAD', 'OPTIONS', 'OTHER', 'PATCH', 'POST', 'PUT']
  for (const method of labels.get('nexus_http_requests_total.method') ?? []) expect(methods).toContain(method)
  for (const status of labels.get('nexus_http_requests_total.status_class') ?? []) expect(status).toMatch(/^[1-5]xx$/)
  for (const [name, values] of labels) expect(values.size, name).toBeLessThanOrEqual(patterns.size + 1)
})

test('[L3] a refresh is counted by profile and outcome, never by what the provider says', async ({
  routed: { broker },
  database,
}) => {
  const { provider, id } = await openPlainConnection(broker)
  for (let n = 0; n < 20; n++) {
    provider.next('token', () => ({ kind: 'json', status: 400, headers: {}, fields: { error: `error_${junk()}` } }))
    await setSecondsLeft(database.pool, id, -1)
    await database.pool.query('update tokens set next_attempt_at = null where connection_id = $1', [id])
    await readToken(broker, id)
  }
  const labels = await readLabels(broker)
  expect([...(labels.get('nexus_refreshes_total.provider') ?? [])]).toEqual([provider.name])
  expect([...(labels.get('nexus_refreshes_total.outcome') ?? [])]).toEqual(['transient'])
})
