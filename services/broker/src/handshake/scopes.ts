import { AppError } from '@nexus/service'
import { type Provider, isStatic } from '../providers/provider.ts'

/**
 * The scopes of a handshake: those asked for, else the profile's. While the profile enforces its list, what it does not
 * name is refused. @throws AppError `scope_not_allowed`
 */
export function decideScopes(provider: Provider, asked: readonly string[] | undefined): readonly string[] {
  if (asked === undefined || asked.length === 0) return provider.scopes
  if (isStatic(provider)) {
    throw new AppError('scope_not_allowed', `The credentials of ${provider.name} are typed in: they have no scopes.`, {
      details: { field: 'scopes', scopes: [...asked] },
    })
  }
  const unique = [...new Set(asked)]
  const foreign = unique.filter((scope) => !provider.scopes.includes(scope))
  if (provider.enforceScopes && foreign.length > 0) {
    throw new AppError(
      'scope_not_allowed',
      `The profile ${provider.name} does not list these scopes: ${foreign.join(' ')}.`,
      {
        details: { field: 'scopes', scopes: foreign },
      },
    )
  }
  // where a nonce stands in for PKCE, it must be asked for each time (RFC 9700 §2.1.1)
  if (provider.pkce === 'disabled' && !provider.distinctRedirectUri && !unique.includes('openid')) {
    throw new AppError(
      'scope_not_allowed',
      `The profile ${provider.name} works without PKCE, so openid must be asked for.`,
      {
        details: { field: 'scopes', scopes: ['openid'] },
      },
    )
  }
  // a separator inside a scope would turn one scope into several
  const splitting = unique.find((scope) => scope.includes(provider.scopeSeparator))
  if (splitting !== undefined) {
    throw new AppError('scope_not_allowed', `The scope ${splitting} contains the profile's scope separator.`, {
      details: { field: 'scopes', scopes: [splitting] },
    })
  }
  return unique
}
