import { ClientSecretBasic, ClientSecretPost, None, type ClientAuth } from 'openid-client'
import type { ClientAuthentication, OAuthProvider } from '../providers/provider.ts'

/**
 * How this client authenticates at the token endpoint (RFC 6749 §2.3.1): as the profile says, else as the metadata allows,
 * else in the body. Without a secret there is nothing to authenticate with, whatever either says.
 *
 * @param supported - `token_endpoint_auth_methods_supported`; `undefined` in metadata that omits it, `'unknown'` without metadata.
 */
export function chooseClientAuthentication(
  provider: Pick<OAuthProvider, 'authHeader'>,
  clientSecret: string | undefined,
  supported: readonly string[] | undefined | 'unknown',
): ClientAuth {
  if (clientSecret === undefined || clientSecret === '') return None()
  switch (provider.authHeader ?? chooseSupported(supported)) {
    case 'none':
      return None()
    case 'client_secret_basic':
      return ClientSecretBasic(clientSecret)
    case 'client_secret_post':
      return ClientSecretPost(clientSecret)
  }
}

function chooseSupported(supported: readonly string[] | undefined | 'unknown'): ClientAuthentication {
  if (supported === 'unknown') return 'client_secret_post'
  // RFC 8414 §2: a list that is left out means this one.
  if (supported === undefined) return 'client_secret_basic'
  if (supported.includes('client_secret_post')) return 'client_secret_post'
  return supported.includes('client_secret_basic') ? 'client_secret_basic' : 'client_secret_post'
}
