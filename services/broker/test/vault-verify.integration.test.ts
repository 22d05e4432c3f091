import { createKeyring } from '@nexus/crypto'
import { expect, test } from 'vitest'
import { type Finding, verifyVault } from '../src/vault/verify-vault.ts'
import { openPlainConnection } from './connection-scene.ts'
import { setSecondsLeft } from './database-tools.ts'
import { openLink, openProvider } from './handshake-scene.ts'
import { readToken, requestConnection } from './harness.ts'
import { command, idOf, linesOf, makeKey, openInstallation, openPool, seedRows, startBrokerWith } from './keys-scene.ts'

const flip = (column: string, at: number): string =>
  `${column} = set_byte(${column}, ${at}, get_byte(${column}, ${at}) # 1)`

const verify = async (...[installation, set, ...args]: Parameters<typeof command>) => {
  const { exitCode, stdout, stderr } = await command(installation, set, 'vault', 'verify', ...args)
  const lines = linesOf(stdout)
  return { exitCode, stdout, stderr, findings: lines.slice(0, -1), summary: lines.at(-1) }
}

test('a sound vault has no findings, while a Broker reads and refreshes', async () => {
  const installation = await openInstallation()
  const set = { primary: installation.old }
  await seedRows(installation, installation.old, { tokens: 25, revocations: 4 })
  await using broker = await startBrokerWith(installation, set)
  const { id } = await openPlainConnection(broker)
  for (let n = 0; n < 3; n++) {
    await setSecondsLeft(installation.database.pool, id, -1)
    expect((await readToken(broker, id)).status).toBe(200)
  }
  const { exitCode, findings, summary, stderr } = await verify(installation, set, '--batch', '3')
  expect({ exitCode, findings }).toEqual({ exitCode: 0, findings: [] })
  expect(summary).toEqual({
    event: 'verified',
    ok: true,
    stopped: false,
    checked: { token: 26, 'client-secret': 2, 'handshake-attempt': 0, revocation: 4 },
    findings: { damaged: 0, key_unavailable: 0, put_back: 0 },
    audit_since: expect.stringMatching(/^\d{4}-\d\d-01T00:00:00.000Z$/),
  })
  expect(linesOf(stderr)[0]).toMatchObject({ event: 'progress', what: 'rows', total: 32 })
})

test('[V1] flipped bits, exchanged rows and moved versions are found in every kind, and named without a secret', async () => {
  const installation = await openInstallation()
  const { database, old } = installation
  const { tokens, revocations, providerId } = await seedRows(installation, old, { tokens: 6, revocations: 2 })
  const [flipped, one, other, moved, relabelled] = [...tokens.keys()]
  await using broker = await startBrokerWith(installation, { primary: old })
  const provider = await openProvider(broker, { profile: { client_secret: undefined, auth_header: 'none' } })
  await openLink((await requestConnection(broker, { provider_name: provider.name })).authUrl)
  await database.pool.query(`update tokens set ${flip('credentials', 40)} where connection_id = $1`, [flipped])
  await database.pool.query(
    `update tokens t set credentials = o.credentials from tokens o
      where (t.connection_id, o.connection_id) in (($1, $2), ($2, $1))`,
    [one, other],
  )
  await database.pool.query('update tokens set version = 7 where connection_id = $1', [moved])
  await database.pool.query(`update tokens set ${flip('key_id', 0)} where connection_id = $1`, [relabelled])
  await database.pool.query(`update revocations set ${flip('tokens', 20)} where id = $1`, [revocations[0]])
  await database.pool.query(`update provider_profiles set ${flip('client_secret', 20)} where id = $1`, [providerId])
  const { rows: attempts } = await database.pool.query<{ id: string }>(
    `update handshake_attempts set ${flip('secrets', 20)} returning id`,
  )

  const { exitCode, findings, summary, stdout } = await verify(installation, { primary: old }, '--batch', '2')
  expect(exitCode).toBe(1)
  const named = findings.map(({ kind, id, problem }) => `${String(kind)} ${String(id)} ${String(problem)}`)
  const expected = [flipped, one, other, moved, relabelled].map((id) => `token ${id} damaged`)
  expect(named.toSorted()).toEqual(
    [
      ...expected,
      `revocation ${revocations[0]} damaged`,
      `client-secret ${providerId} damaged`,
      `handshake-attempt ${attempts[0]?.id} damaged`,
    ].toSorted(),
  )
  expect(summary).toMatchObject({ ok: false, findings: { damaged: 8, key_unavailable: 0, put_back: 0 } })
  for (const accessToken of tokens.values()) expect(stdout).not.toContain(accessToken)
})

test('a key that is not configured is told from damage', async () => {
  const installation = await openInstallation()
  const { old, next } = installation
  await command(installation, { primary: old, extra: [next] }, 'keys', 'add')
  await seedRows(installation, old, { tokens: 1 })
  const { exitCode, findings } = await verify(installation, { primary: next })
  expect(exitCode).toBe(1)
  expect(findings).toMatchObject([
    { kind: 'client-secret', problem: 'key_unavailable', keyId: idOf(old) },
    { kind: 'token', problem: 'key_unavailable', keyId: idOf(old) },
  ])
  const foreign = await command(installation, { primary: makeKey() }, 'vault', 'verify')
  expect(foreign).toMatchObject({ exitCode: 1, stderr: expect.stringContaining('none of the configured keys') })
})

test('[V1] a whole row of an older copy, put back over a newer one, is found by what the audit knows', async () => {
  const installation = await openInstallation()
  const { database, old } = installation
  await using broker = await startBrokerWith(installation, { primary: old })
  const [steady, victim] = [await openPlainConnection(broker), await openPlainConnection(broker)]
  await database.pool.query('create table older as select * from tokens where connection_id = $1', [victim.id])
  for (let n = 0; n < 2; n++) {
    for (const { id } of [steady, victim]) {
      await setSecondsLeft(database.pool, id, -1)
      expect((await readToken(broker, id)).status).toBe(200)
    }
  }
  expect((await verify(installation, { primary: old })).exitCode).toBe(0)
  await database.pool.query(
    `update tokens t set credentials = o.credentials, key_id = o.key_id, version = o.version, expires_at = now() + interval '1 hour'
       from older o where t.connection_id = o.connection_id`,
  )
  expect((await readToken(broker, victim.id)).status, 'it opens, for it is a true row').toBe(200)
  const { exitCode, findings, summary } = await verify(installation, { primary: old })
  expect(exitCode).toBe(1)
  expect(findings).toEqual([
    { event: 'finding', kind: 'token', id: victim.id, problem: 'put_back', version: 1, highest: 3 },
  ])
  expect(summary).toMatchObject({ ok: false, findings: { damaged: 0, put_back: 1 } })
})

test('a row that is another by the time of the second look is judged by that', async () => {
  const installation = await openInstallation()
  const { database, old } = installation
  const { tokens } = await seedRows(installation, old, { tokens: 3 })
  const [mended = '', gone = '', damaged = ''] = [...tokens.keys()]
  await database.pool.query('create table sound as select * from tokens')
  await database.pool.query(`update tokens set ${flip('credentials', 40)}`)
  const pool = openPool(database)
  const found: Finding[] = []
  const verification = await verifyVault(
    {
      database: {
        // between the look at a page and the second one somebody mends one row and deletes another
        async query(statement) {
          if (statement.text.includes('= any') && statement.text.includes('credentials')) {
            await database.pool.query(
              `update tokens t set credentials = s.credentials from sound s where s.connection_id = t.connection_id and s.connection_id = $1`,
              [mended],
            )
            await database.pool.query('delete from tokens where connection_id = $1', [gone])
          }
          return pool.query(statement)
        },
      },
      keyring: createKeyring({ primary: Buffer.from(old, 'base64') }),
      report: { progress: () => undefined, found: (finding) => void found.push(finding) },
    },
    { batch: 10, signal: new AbortController().signal },
  )
  expect(found).toEqual([{ purpose: 'token', id: damaged, problem: 'damaged', keyId: idOf(old) }])
  expect(verification).toMatchObject({ isStopped: false, findings: { damaged: 1 } })
})
