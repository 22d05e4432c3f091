// An agent that uses somebody's API key, which it never asks for: the person types it in at Nexus.
//
//   NEXUS_URL=https://nexus.example.com PROVIDER=stripe API_URL=https://api.stripe.com/v1/balance node static-key.ts
import { createNexusClient } from '@nexus/sdk'

const { NEXUS_URL = 'http://127.0.0.1:8090', NEXUS_TOKEN, PROVIDER = 'stripe', USER_ID = 'user-1' } = process.env
const { API_URL = 'https://api.stripe.com/v1/balance' } = process.env

const nexus = createNexusClient({ baseUrl: NEXUS_URL, token: NEXUS_TOKEN })
const { authUrl, connectionId } = await nexus.requestConnection({ userId: USER_ID, providerName: PROVIDER })
console.log(`Open this to connect your account: ${authUrl}`)
await nexus.waitForActive(connectionId)

// the key goes to the origin of the profile's api_base_url and nowhere else
const api = nexus.createAuthorizedFetch(connectionId)
const response = await api(API_URL)
console.log(response.status, await response.text())
