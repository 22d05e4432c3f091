import type { StaticProvider } from '../providers/provider.ts'

type TriedProvider = Pick<StaticProvider, 'apiBaseUrl' | 'userInfoEndpoint' | 'verify'>

/**
 * Where credentials of a profile are tried before they are kept: its `user_info_endpoint`, an absolute URL.
 * @returns undefined where nobody is to be asked, and where the endpoint is of another origin than `api_base_url`: what a
 *   person gave for one service is shown to no other
 */
export function findTrialUrl({ apiBaseUrl, userInfoEndpoint, verify }: TriedProvider): URL | undefined {
  if (verify === 'off' || apiBaseUrl === undefined || userInfoEndpoint === undefined) return undefined
  const [api, endpoint] = [URL.parse(apiBaseUrl), URL.parse(userInfoEndpoint)]
  return api !== null && endpoint !== null && api.origin === endpoint.origin ? endpoint : undefined
}
