/** What a Broker answers, as contract.md has it. */

export const id = '0198a1b2-0000-7000-8000-000000000001'

export const connectionBody = {
  id,
  zone: 'root',
  workspace_id: 'u-1',
  provider: 'google',
  status: 'active',
  status_reason: null,
  scopes: ['openid'],
  granted_scopes: ['openid'],
  account: { issuer: 'https://issuer.example.com', subject: 's', label: null },
  created_at: '2026-11-22T09:00:00.000Z',
  updated_at: '2026-11-22T09:00:00.000Z',
  last_used_at: null,
  token_expires_at: null,
  last_refresh_at: null,
  metadata: { team: 'a' },
}

const credentials = {
  access_token: 'access-token-canary',
  token_type: 'Bearer',
  scope: 'openid',
  expires_at: '2026-11-22T10:00:00.000Z',
}

export const payloadBody = {
  strategy: { type: 'oauth2' },
  credentials,
  ...credentials,
  expires_in: 3540,
  provider: 'google',
  provider_id: id,
}

export const requestedBody = (state: string) => ({
  authUrl: 'https://nexus.example.com/auth/connect/ticket-canary',
  connection_id: id,
  state,
  scopes: ['openid'],
  provider_id: id,
  expires_at: '2026-11-22T10:00:00.000Z',
})

export const agentTokenBody = {
  key_id: '0198a1b2-0000-7000-8000-0000000000a1',
  prefix: 'sk-eng_bot_01234567',
  name: 'bot',
  owner: 'alice',
  zone: 'eng',
  zones: [{ zone: 'eng', permissions: 'rw' }],
  is_admin: false,
  created_at: '2026-11-22T09:00:00.000Z',
  expires_at: null,
  last_used_at: null,
  revoked_at: null,
}
