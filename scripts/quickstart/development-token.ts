import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type CreateAgentToken, agentTokenList, createdAgentToken } from '@nexus/contracts'
import { call, read } from './call.ts'
import type { Keys } from './keys.ts'

export type TokenScene = {
  readonly brokerUrl: string
  readonly gatewayUrl: string
  readonly keys: Keys
  readonly dataDir: string
}

/** What is minted, and in which file of the data folder it is kept. */
type Kept = { readonly file: string; readonly wanted: Partial<CreateAgentToken> & { readonly name: string } }

/** Everything in root, and completing connections too: on this machine one person is agent and app. */
const ofAgents: Kept = {
  file: 'agent-token',
  wanted: { name: 'development', zones: [{ zone: 'root', permissions: 'rwxc' }] },
}

/** For `nexus hub` through the Gateway. */
const ofOperators: Kept = { file: 'admin-token', wanted: { name: 'operator', is_admin: true } }

/**
 * The tokens of this machine: those of an earlier run while they are good, else new ones, minted as an operator does it. They
 * are kept beside the keys, readable by whoever runs this.
 *
 * @returns the one for agents
 */
export const prepareTokens = async (scene: TokenScene): Promise<string> => {
  await prepareToken(scene, ofOperators)
  return prepareToken(scene, ofAgents)
}

const prepareToken = async (scene: TokenScene, { file, wanted }: Kept): Promise<string> => {
  const path = join(scene.dataDir, file)
  const kept = existsSync(path) ? readFileSync(path, 'utf8').trim() : ''
  if (kept !== '' && (await isGood(scene, kept))) return kept
  await revokeEarlier(scene, wanted.name)
  const headers = asOperator(scene)
  const { token } = read(
    createdAgentToken,
    await call('POST', `${scene.brokerUrl}/agent-tokens`, { headers, body: wanted }),
  )
  writeFileSync(`${path}.new`, `${token}\n`, { mode: 0o600 })
  renameSync(`${path}.new`, path)
  return token
}

const isGood = async ({ gatewayUrl }: TokenScene, token: string): Promise<boolean> => {
  const headers = { authorization: `Bearer ${token}` }
  return (await call('GET', `${gatewayUrl}/v1/connections?limit=1`, { headers })).status === 200
}

/** One whose file was lost is of no use to anybody, and holds the name. */
const revokeEarlier = async (scene: TokenScene, name: string): Promise<void> => {
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
