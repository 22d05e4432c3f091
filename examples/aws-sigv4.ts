// An agent that writes to somebody's S3 bucket. Each request is signed (AWS Signature Version 4); the keys are the
// person's, typed in at Nexus, and are in this process only while it signs.
//
//   NEXUS_URL=https://nexus.example.com PROVIDER=aws-s3 BUCKET_URL=https://my-bucket.s3.eu-west-1.amazonaws.com \
//     node aws-sigv4.ts
import { createNexusClient } from '@nexus/sdk'

const { NEXUS_URL = 'http://127.0.0.1:8090', NEXUS_TOKEN, PROVIDER = 'aws-s3', USER_ID = 'user-1' } = process.env
const { BUCKET_URL = 'https://my-bucket.s3.us-east-1.amazonaws.com' } = process.env

const nexus = createNexusClient({ baseUrl: NEXUS_URL, token: NEXUS_TOKEN })
const { authUrl, connectionId } = await nexus.requestConnection({ userId: USER_ID, providerName: PROVIDER })
console.log(`Open this to connect your account: ${authUrl}`)
await nexus.waitForActive(connectionId)

// one profile serves all buckets, so each program names its own: requests are signed for it and for no other host
const s3 = nexus.createAuthorizedFetch(connectionId, { allowedOrigins: [BUCKET_URL] })
const key = 'reports/2026 + notes.txt'
const url = `${BUCKET_URL}/${key.split('/').map(encodeURIComponent).join('/')}`

const written = await s3(url, { method: 'PUT', body: 'Hello from an agent', headers: { 'content-type': 'text/plain' } })
console.log('PUT', written.status)
const read = await s3(url)
console.log('GET', read.status, await read.text())
