import { agentTokenPattern, longestAgentToken } from '@nexus/contracts'
import { type RandomBytes, randomToken, sha256 } from '@nexus/crypto'

export type MintedToken = {
  /** Shown once, and kept by nobody here. */
  readonly token: string
  /** What of it may be shown: everything before the random part. */
  readonly prefix: string
  readonly lookup: string
  readonly hash: Buffer
}

/** Makes a token that holds 256 random bits. Its lookup may be taken, one time in billions: then another is made. */
export function mintAgentToken(zone: string, name: string, randomBytes: RandomBytes): MintedToken {
  const lookup = Buffer.from(randomBytes(4)).toString('hex')
  const prefix = `sk-${shorten(zone)}_${shorten(name)}_${lookup}`
  const token = `${prefix}_${randomToken(32, randomBytes)}`
  return { token, prefix, lookup, hash: sha256(token) }
}

/** For the eyes of people: no name can break out of its place. */
function shorten(name: string): string {
  return name
    .toLowerCase()
    .replaceAll(/[^a-z0-9-]/g, '')
    .slice(0, 8)
}

export type PresentedToken = { readonly lookup: string; readonly hash: Buffer }

/** undefined: it cannot be a token. */
export function readAgentToken(text: string): PresentedToken | undefined {
  const lookup = text.length > longestAgentToken ? undefined : agentTokenPattern.exec(text)?.[1]
  return lookup === undefined ? undefined : { lookup, hash: sha256(text) }
}
