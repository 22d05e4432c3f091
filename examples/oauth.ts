// An agent that acts for a person at an OAuth provider: it connects, calls the API, and when the consent has ended it
// asks for it anew instead of failing.
//
//   NEXUS_URL=https://nexus.example.com PROVIDER=github API_URL=https://api.github.com/user node oauth.ts
//
// With CONNECTION_ID it goes on with a connection of an earlier run.
import { createNexusClient, isNexusError } from '@nexus/sdk'

const { NEXUS_URL = 'http://127.0.0.1:8090', NEXUS_TOKEN, PROVIDER = 'github', USER_ID = 'user-1' } = process.env
const { API_URL = 'https://api.github.com/user', CONNECTION_ID } = process.env

const nexus = createNexusClient({ baseUrl: NEXUS_URL, token: NEXUS_TOKEN })
const connectionId = CONNECTION_ID ?? (await connect())
console.log(`Using the connection ${connectionId}`)
const api = nexus.createAuthorizedFetch(connectionId)

try {
  await callApi()
} catch (error) {
  // the provider has ended the grant: only the person can give another one
  if (!isNexusError(error, 'attention_required')) throw error
  const { authUrl } = await nexus.reconnect(connectionId)
  console.log(`Open this to connect your account again: ${authUrl}`)
  await nexus.waitForActive(connectionId)
  await callApi()
}

async function connect(): Promise<string> {
  const requested = await nexus.requestConnection({ userId: USER_ID, providerName: PROVIDER })
  console.log(`Open this to connect your account: ${requested.authUrl}`)
  await nexus.waitForActive(requested.connectionId)
  return requested.connectionId
}

/** Nexus keeps the token fresh; one that the API refuses all the same is refreshed and the call repeated. */
async function callApi(): Promise<void> {
  const response = await api(API_URL)
  console.log(response.status, await response.text())
}
