import { expect } from 'vitest'
import { findToken, mint, openTeam } from './agents-scene.ts'
import { whenWaiting } from './database-tools.ts'
import { test } from './handshake-scene.ts'
import { type Client, mintToken } from './harness.ts'

const grant = (zone: string, permissions: string) => ({ zone, permissions })

type Made = { readonly agent: Client; readonly zone: string; readonly otherId: string }

test.for([
  ['a new token', ({ agent, zone }: Made) => mint(agent, { zones: [grant(zone, 'rwx')] })],
  [
    'one that is there',
    ({ agent, zone, otherId }: Made) =>
      agent.send('PUT', `/agent-tokens/${otherId}/zones/${zone}`, { body: { permissions: 'rwx' } }),
  ],
] as const)(
  'what is taken from a maker at this moment is not given to %s any more',
  async ([, give], { broker, database }) => {
    const { zone, agent, token } = await openTeam(broker)
    const { key_id } = await findToken(broker, token)
    const other = await findToken(broker, await mintToken(broker, { zones: [grant(zone, 'r')] }))
    const narrowing = await database.pool.connect()
    try {
      // as the narrowing to r does, on another Broker, which is slow to commit
      await narrowing.query('begin')
      await narrowing.query('update agent_changes set seq = seq + 1')
      await narrowing.query(`update agent_token_zones set permissions = 'r' where token_id = $1`, [key_id])
      await narrowing.query('update agent_tokens set changed_seq = (select seq from agent_changes) where id = $1', [
        key_id,
      ])
      const giving = give({ agent, zone, otherId: other.key_id })
      await whenWaiting(database.pool, 1)
      await narrowing.query('commit')
      expect(await giving).toMatchObject({ status: 403, body: { code: 'insufficient_permission' } })
    } finally {
      narrowing.release(true)
    }
  },
)

test('[R4] a zone is removed while a holder of x mints in it, and neither waits for the other for ever', async ({
  broker,
  database,
}) => {
  const { zone, agent, token } = await openTeam(broker)
  const holding = await database.pool.connect()
  try {
    await holding.query('begin')
    // keeps whoever mints between the look at its maker and the zone
    await holding.query(`select from zones where name = 'root' for update`)
    const minting = mint(agent, { zones: [grant(zone, 'r')] })
    await whenWaiting(database.pool, 1)
    const removing = broker.send('DELETE', `/zones/${zone}`)
    await whenWaiting(database.pool, 2)
    await holding.query('commit')
    const [minted, removed] = await Promise.all([minting, removing])
    expect([minted.status, removed.status]).toEqual([201, 200])
    expect((await findToken(broker, minted.body.token)).revoked_at).not.toBeNull()
    expect((await findToken(broker, token)).revoked_at).not.toBeNull()
  } finally {
    holding.release(true)
  }
})
