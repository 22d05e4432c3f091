import type { BrokerConfig } from '../config.ts'
import { createAddressGuard } from './address-guard.ts'
import { type OutboundFetch, createOutboundFetch } from './outbound-fetch.ts'

export type Outbound = { readonly fetch: OutboundFetch; readonly assertUrlAllowed: (url: string) => Promise<void> }

type OutboundConfig = Pick<BrokerConfig, 'ALLOW_PRIVATE_NETWORKS' | 'HTTPS_PROXY' | 'NO_PROXY'>

/** The way out and its guard, under the same rules. */
export function createOutbound(config: OutboundConfig, resources: AsyncDisposableStack): Outbound {
  const allowPrivateNetworks = config.ALLOW_PRIVATE_NETWORKS
  const fetch = resources.use(
    createOutboundFetch({ allowPrivateNetworks, httpsProxy: config.HTTPS_PROXY, noProxy: config.NO_PROXY.join(',') }),
  )
  const guard = createAddressGuard({ allowPrivateNetworks })
  return { fetch, assertUrlAllowed: (url) => guard.assertUrlAllowed(url) }
}
