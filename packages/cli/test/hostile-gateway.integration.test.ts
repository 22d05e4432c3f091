import { once } from 'node:events'
import { type RequestListener, createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { expect, onTestFinished, test, vi } from 'vitest'
import { runNexus } from './nexus-process.ts'

vi.setConfig({ testTimeout: 60_000 })

/** Clears a screen, by both introducers there are, and turns the writing round. */
const tricks = '\u001b[2J\u009b2J\u202e'
const untouched = { zone: 'root', zones: [], is_admin: true, expires_at: null, last_used_at: null, revoked_at: null }
const described = {
  ...untouched,
  key_id: '019ab000-0000-7000-8000-00000000dead',
  prefix: tricks,
  name: tricks,
  owner: tricks,
  created_at: '2026-01-01T00:00:00.000Z',
}

/** Somebody else, at the address where an operator believes a Gateway. */
async function startGateway(status: number, body: unknown): Promise<string> {
  const answer: RequestListener = (_request, response) => {
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
  }
  const server = createServer(answer).listen(0, '127.0.0.1')
  onTestFinished(() => void server.close())
  await once(server, 'listening')
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

const token = `sk-root_admin_00000000_${'A'.repeat(43)}`
const refused = { code: 'forbidden', message: tricks, request_id: tricks }
const unwell = { postgres: 'ok', redis: 'ok', tokens: null, zones: 1, qps: 0, connections: { [tricks]: 1 } }

test.each([
  ['hub token create --name a --admin', 201, { ...described, token: tricks }],
  ['hub token create --name a --admin --json', 201, { ...described, token: tricks }],
  ['hub token list', 200, { tokens: [described], next_cursor: null }],
  ['hub token list --json', 200, { tokens: [described], next_cursor: null }],
  ['hub status --detail', 200, unwell],
  ['hub status --detail --json', 200, unwell],
  ['hub zone list', 403, refused],
  ['hub zone list', 500, refused],
  ['connect google --user u --no-open', 403, refused],
] as const)('nothing that is answered to %s (%i) moves the cursor of a terminal', async (command, status, body) => {
  const url = await startGateway(status, body)
  const env = { NEXUS_HUB_URL: url, NEXUS_HUB_ADMIN_TOKEN: token, NEXUS_URL: url, NEXUS_TOKEN: token }
  const { stdout, stderr } = await runNexus(command.split(' '), { env })
  expect(`${stdout}${stderr}`, 'something was shown').toMatch(/\\u001b\[2J/)
  expect(`${stdout}${stderr}`).not.toMatch(/(?![\n\t])[\p{Cc}\u202e]/u)
})
