import { type AgentToken, type Hub, agentTokenPattern } from '@nexus/contracts'
import { CliError, UsageError } from '../errors.ts'
import { printable } from '../output/text.ts'
import { listEvery } from './list-every.ts'

/**
 * The one living token that a person means: by its name, its key id or the beginning of one, or its prefix.
 * @throws CliError with exit code 1 for none, 2 for several
 */
export async function findToken(hub: Hub, identifier: string): Promise<AgentToken> {
  const match = withoutSecret(identifier)
  const found = await listEvery(async (page) => {
    const { tokens, next_cursor } = await hub.listTokens({ match, show_revoked: 'false', ...page })
    return { items: tokens, nextCursor: next_cursor }
  })
  // a name may be anything: nobody keeps another's token from being found by calling their own like its key id or prefix
  const exact = found.filter(({ key_id: keyId, prefix }) => keyId === match.toLowerCase() || prefix === match)
  const [token, ...others] = exact.length > 0 ? exact : found
  if (token === undefined)
    throw new CliError(
      `no active token matches '${printable(match)}': nexus hub token list --show-revoked has them all`,
    )
  if (others.length === 0) return token
  const named = found.slice(0, 10).map(({ name, key_id: keyId }) => `${printable(name)} (${keyId})`)
  throw new AmbiguousToken(
    `ambiguous: ${found.length} tokens match '${printable(match)}' — ${named.join(', ')}${found.length > 10 ? ', …' : ''}`,
  )
}

/** Told as it is, without `Error:` before it: scripts look for its first word. */
export class AmbiguousToken extends CliError {
  constructor(message: string) {
    super(message, { exitCode: 2 })
  }
}

/**
 * Somebody pastes a whole token: what finds it is its public part. The rest leaves this process neither in a URL, which
 * proxies write to their logs, nor in a message.
 */
function withoutSecret(identifier: string): string {
  const given = identifier.trim().replace(/^Bearer\s+/i, '')
  if (agentTokenPattern.test(given)) return given.slice(0, given.length - '_'.length - secretLength)
  if (given === '') throw new UsageError('say which token: its name, its key id or the beginning of one, or its prefix')
  // part of a secret, or one with something stuck to it
  if (given.startsWith('sk-') && !/^sk-[a-z0-9-]{0,8}_[a-z0-9-]{0,8}_[0-9a-f]{8}$/.test(given)) {
    throw new UsageError('this begins like a token and is none: give its name, its key id or its prefix')
  }
  return given
}

const secretLength = 43
