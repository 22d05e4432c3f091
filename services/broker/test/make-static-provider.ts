import type { StaticProvider } from '../src/providers/provider.ts'

/** A profile of API keys as the store would return it, for tests that need no store. */
export function makeStaticProvider(change: Partial<StaticProvider> = {}): StaticProvider {
  return {
    authType: 'api_key',
    id: '019ab000-0000-7000-8000-000000000002',
    name: 'keyed',
    aliases: [],
    zones: [],
    displayName: 'Keyed',
    description: undefined,
    category: undefined,
    scopes: [],
    enforceScopes: true,
    apiBaseUrl: undefined,
    userInfoEndpoint: undefined,
    alarm: undefined,
    hasClientSecret: false,
    revision: 1,
    createdAt: new Date(0),
    updatedAt: new Date(0),
    credentialSchema: { type: 'object', required: ['api_key'], properties: { api_key: { type: 'string' } } },
    strategy: { type: 'header', config: { header_name: 'X-Key', credential_field: 'api_key' } },
    verify: 'best_effort',
    ...change,
  }
}
