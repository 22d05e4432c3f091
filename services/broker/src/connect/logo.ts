import type { Logger } from '@nexus/service'
import type { OutboundFetch } from '../oauth/outbound-fetch.ts'
import { type ImageType, detectImageType } from './image-type.ts'

export type Logo = { readonly type: ImageType; readonly bytes: Buffer }

/** Gives the logo, or undefined while there is none: the app's name stands for it then. */
export type FindLogo = () => Logo | undefined

export type LogoDeps = {
  readonly fetch: OutboundFetch
  readonly monotonicMs: () => number
  readonly logger: Pick<Logger, 'warn'>
}

const largestBytes = 262_144
const retryAfterMs = 60_000

/**
 * Loads CONNECT_LOGO_URL once and keeps it in memory, so that people's browsers load nothing from elsewhere. Pages never
 * wait for it: while it cannot be had they do without, and a view a minute later asks again.
 * @param url `https:` or `data:`; without it there is no logo
 */
export function createLogoFinder(deps: LogoDeps, url: string | undefined): FindLogo {
  let logo: Logo | undefined
  let nextTryAt = -Infinity
  const load = async (source: string): Promise<void> => {
    try {
      logo = readImage(await loadBytes(deps.fetch, source))
    } catch (error) {
      deps.logger.warn({ err: error }, 'CONNECT_LOGO_URL cannot be shown; pages do without it, and it is tried again')
    }
  }
  const find: FindLogo = () => {
    if (url !== undefined && logo === undefined && deps.monotonicMs() >= nextTryAt) {
      nextTryAt = deps.monotonicMs() + retryAfterMs
      void load(url)
    }
    return logo
  }
  find()
  return find
}

async function loadBytes(fetch: OutboundFetch, source: string): Promise<Buffer> {
  if (source.startsWith('data:')) return Buffer.from(source.slice(source.indexOf(',') + 1), 'base64')
  const answer = await fetch(source, { headers: { accept: 'image/*' } })
  if (answer.status !== 200) throw new Error(`the logo was answered with ${answer.status}`)
  return Buffer.from(await answer.arrayBuffer())
}

function readImage(bytes: Buffer): Logo {
  if (bytes.length > largestBytes) throw new Error(`the logo is larger than ${largestBytes} bytes`)
  const type = detectImageType(bytes)
  if (type === undefined) throw new Error('the logo is neither PNG, JPEG, WebP nor SVG')
  return { type, bytes }
}
