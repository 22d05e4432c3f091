// A token endpoint that answers every refresh after DELAY_MS, in a process of its own. It keeps nothing: what it costs
// is the least that a provider can cost.
import { createServer } from 'node:http'

const delayMs = Number(process.env['DELAY_MS'] ?? '20')
let issued = 0
let answered = 0

const server = createServer((request, response) => {
  if (request.method === 'GET') return void response.end(JSON.stringify({ answered }))
  request.resume()
  setTimeout(() => {
    issued += 1
    answered += 1
    const body = JSON.stringify({
      access_token: `access-${issued}`.padEnd(128, 'a'),
      refresh_token: `refresh-${issued}`.padEnd(128, 'r'),
      token_type: 'Bearer',
      expires_in: 3600,
    })
    response.writeHead(200, { 'content-type': 'application/json' }).end(body)
  }, delayMs)
})
server.keepAliveTimeout = 60_000
server.listen(Number(process.env['PORT']), '127.0.0.1')
