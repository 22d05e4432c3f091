import type { ConnectionCompleted } from '@nexus/contracts'
import { expect } from 'vitest'
import { type Scripted, type Journey, openProvider, send, test, travel } from './handshake-scene.ts'
import { type Answer, type Client, appUrl, readToken } from './harness.ts'

const attacker = 'user-attacker'
const victim = 'user-victim'

/** A person comes back to the app with the code by which it completes their connection. */
async function comeBack(broker: Client, provider: Scripted, user: string) {
  const journey = await travel(broker, provider, { workspace_id: user, completion: 'app', return_url: appUrl })
  const arrival = await arrive(journey)
  return { ...journey, code: arrival.get('completion_code') ?? '', arrival }
}

async function arrive({ callback, cookie }: Journey): Promise<URLSearchParams> {
  const { location, status, text } = await send(callback, { cookie })
  if (location === undefined) throw new Error(`the browser was not sent back: ${status} ${text}`)
  expect(`${location.origin}${location.pathname}`).toBe(appUrl.split('?')[0])
  return location.searchParams
}

function complete(
  broker: Client,
  connectionId: string,
  completionCode: string,
  user: string,
): Promise<Answer<ConnectionCompleted>> {
  const body = { completion_code: completionCode, workspace_id: user }
  return broker.post<ConnectionCompleted>(`/connections/${connectionId}/complete`, body)
}

test('the app completes what its user brought, and only then the code is exchanged', async ({ broker }) => {
  const provider = await openProvider(broker)
  const { connection_id: id, arrival, code } = await comeBack(broker, provider, victim)
  expect(Object.fromEntries(arrival)).toEqual({
    from: 'app',
    status: 'completion_required',
    connection_id: id,
    provider: provider.name,
    completion_code: expect.stringMatching(/^[A-Za-z0-9_-]{43}$/),
  })
  expect(provider.requestsTo('token')).toHaveLength(0)
  expect((await readToken(broker, id)).status).toBe(409)

  expect(await complete(broker, id, code, victim)).toMatchObject({
    status: 200,
    body: { connection_id: id, status: 'active', provider: provider.name },
  })
  expect(provider.requestsTo('token')).toHaveLength(1)
  expect((await readToken(broker, id)).status).toBe(200)
})

test('[H4] a forwarded connect link: whoever follows it comes back as themselves, and nothing is connected', async ({
  broker,
}) => {
  const provider = await openProvider(broker)
  // the attacker asks for the link, the victim consents and returns to the app, which knows who they are
  const { connection_id: id, code } = await comeBack(broker, provider, attacker)

  const refused = await complete(broker, id, code, victim)
  expect(refused).toMatchObject({ status: 409, body: { code: 'completion_refused' } })
  expect(await broker.get(`/connections/${id}`)).toMatchObject({
    body: { status: 'failed', status_reason: 'completion_refused' },
  })
  // nor can the attacker have it afterwards
  expect(await complete(broker, id, code, attacker)).toMatchObject({
    status: 409,
    body: { code: 'completion_refused' },
  })
  expect(provider.requestsTo('token')).toHaveLength(0)
})
