import type { Brand } from '@nexus/service'
import type { BrokerConfig } from '../config.ts'
import type { AssetRouteDeps } from './asset-routes.ts'
import { brandStylesheet } from './brand-stylesheet.ts'
import { type LogoDeps, createLogoFinder } from './logo.ts'

type BrandConfig = Pick<BrokerConfig, 'CONNECT_APP_NAME' | 'CONNECT_LOGO_URL' | 'CONNECT_ACCENT_COLOR'>

/** How the pages look, as the operator configured it; the logo from when it has been fetched. */
export function composeBranding(config: BrandConfig, deps: LogoDeps): AssetRouteDeps & { readonly brand: () => Brand } {
  const findLogo = createLogoFinder(deps, config.CONNECT_LOGO_URL)
  return {
    findLogo,
    brandStylesheet: brandStylesheet(config.CONNECT_ACCENT_COLOR),
    brand: () => ({ appName: config.CONNECT_APP_NAME, hasLogo: findLogo() !== undefined }),
  }
}
