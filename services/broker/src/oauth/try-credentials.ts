import { type CredentialStrategy, type CredentialValue, strategyType } from '@nexus/contracts'
import { type Strategy, applyStrategy, isNexusError } from '@nexus/sdk/apply-strategy'
import type { Logger } from '@nexus/service'
import type { StaticProvider } from '../providers/provider.ts'
import type { OutboundFetch } from './outbound-fetch.ts'
import { ProviderError } from './provider-errors.ts'
import { findTrialUrl } from './trial-url.ts'

export type TrialDeps = { readonly fetch: OutboundFetch; readonly logger: Logger }

type Credentials = Readonly<Record<string, CredentialValue>>

/** `unknown`: nobody could be asked, or whoever was said neither yes nor no. */
type Trial = 'accepted' | 'refused' | 'unknown'

/** Throws for nothing a provider does, and keeps the credentials and the answer to itself (P5). */
export type TryCredentials = (provider: StaticProvider, credentials: Credentials) => Promise<Trial>

/** For connecting and the answer: a person sits before the form. Milliseconds. */
const deadlineMs = 10_000

/**
 * Tries credentials where their profile says, used as agents would use them: with its own strategy, through the guard of
 * all outbound requests (P4). Only the status of the answer counts, and it is all that is read.
 */
export function createTrial(deps: TrialDeps): TryCredentials {
  return async (provider, credentials) => {
    const url = findTrialUrl(provider)
    if (url === undefined) return 'unknown'
    const request = await prepareRequest(url, provider, credentials)
    if (typeof request === 'string') return request
    const trial = await send(deps.fetch, request)
    if (typeof trial !== 'string') {
      const details = { reason: trial.reason, status: trial.status }
      deps.logger.warn({ provider: provider.name, details }, 'credentials could not be tried at the provider')
      return 'unknown'
    }
    return trial
  }
}

/** @returns `refused` for what cannot become part of a request: no agent could use it either. */
async function prepareRequest(
  url: URL,
  { strategy }: StaticProvider,
  credentials: Credentials,
): Promise<Request | 'refused' | 'unknown'> {
  if (!isApplicable(strategy)) return 'unknown'
  try {
    const request = await applyStrategy(new Request(url), strategy, credentials)
    return URL.parse(request.url)?.origin === url.origin ? request : 'refused'
  } catch (error) {
    // whatever else it says could quote what was typed, and a fault of ours is no verdict
    return isNexusError(error, 'strategy_not_applicable') ? 'refused' : 'unknown'
  }
}

/** Its configuration was complete when the profile was saved; the SDK, which types it more closely, looks at it again. */
function isApplicable(strategy: CredentialStrategy | Strategy): strategy is Strategy {
  return strategyType.safeParse(strategy.type).success
}

type Undecided = { readonly reason: string; readonly status: number | undefined }

async function send(fetch: OutboundFetch, { url, headers }: Request): Promise<'accepted' | 'refused' | Undecided> {
  const signal = AbortSignal.timeout(deadlineMs)
  try {
    const { ok, status } = await fetch(url, { method: 'GET', headers, signal, ignoresBody: true })
    if (ok) return 'accepted'
    return status === 401 || status === 403 ? 'refused' : { reason: 'status', status }
  } catch (error) {
    if (error instanceof ProviderError) return { reason: error.kind, status: error.status }
    throw error
  }
}
