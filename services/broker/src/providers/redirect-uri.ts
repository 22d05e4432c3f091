import type { OAuthProvider } from './provider.ts'

export type RedirectUriSettings = {
  /** Origin of the public `/auth` paths. */
  readonly baseUrl: string
  /** REDIRECT_PATH. */
  readonly redirectPath: string
}

/**
 * The redirect URI to register at the provider. With `distinct_redirect_uri` its path ends in the profile's name, so that
 * a code meant for one provider cannot be brought to another's callback (RFC 9700 §4.4.2.2).
 */
export function redirectUriOf(
  provider: Pick<OAuthProvider, 'name' | 'distinctRedirectUri'>,
  { baseUrl, redirectPath }: RedirectUriSettings,
): string {
  return `${baseUrl}${redirectPath}${provider.distinctRedirectUri ? `/${provider.name}` : ''}`
}
