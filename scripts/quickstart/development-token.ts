import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { agentTokenList, createdAgentToken } from '@nexus/contracts'
import { call, read } from './call.ts'
import type { Keys } from './keys.ts'

export type TokenScene = {
  readonly brokerUrl: string
  readonly gatewayUrl: string
  readonly keys: Keys
  readonly dataDir: string
}

const name = 'development'
/** Everything in root, and completing connections too: on this machine one person is agent, app and operator. */
const zones = [{ zone: 'root', permissions: 'rwxc' }]

/**
 * The token that agents on this machine use: the one of an earlier run while it is good, else a new one, minted as an
 * operator does it. It is kept beside the keys, readable by whoever runs this.
 */
export const prepareToken = async (scene: TokenScene): Promise<string> => {
  const file = join(scene.dataDir, 'agent-token')
  const kept = existsSync(file) ? readFileSync(file, 'utf8').trim() : ''
  if (kept !== '' && (await isGood(scene, kept))) return kept
  await revokeEarlier(scene)
  const made = read(
    createdAgentToken,
    await call('POST', `${scene.brokerUrl}/agent-tokens`, { headers: asOperator(scene), body: { name, zones } }),
  )
  writeFileSync(`${file}.new`, `${made.token}\n`, { mode: 0o600 })
  renameSync(`${file}.new`, file)
  return made.token
}

const isGood = async ({ gatewayUrl }: TokenScene, token: string): Promise<boolean> => {
  const headers = { authorization: `Bearer ${token}` }
  return (await call('GET', `${gatewayUrl}/v1/connections?limit=1`, { headers })).status === 200
}

/** One whose file was lost is of no use to anybody, and holds the name. */
const revokeEarlier = async (scene: TokenScene): Promise<void> => {
  const headers = asOperator(scene)
  const { tokens } = read(
    agentTokenList,
    await call('GET', `${scene.brokerUrl}/agent-tokens?match=${name}`, { headers }),
  )
  for (const { key_id: keyId } of tokens) {
    await call('DELETE', `${scene.brokerUrl}/agent-tokens/${keyId}`, { headers })
  }
}

const asOperator = ({ keys }: TokenScene) => ({ 'x-api-key': keys.ADMIN_API_KEY })
