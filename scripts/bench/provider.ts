// A token endpoint that answers every refresh after DELAY_MS, in a process of its own; each path is another provider's,
// and the one at HANGS_AT never answers. It keeps nothing but counts: what it costs is the least that a provider can cost.
import { createServer } from 'node:http'

type Counts = { requests: number; underWay: number; mostAtOnce: number }

const delayMs = Number(process.env['DELAY_MS'] ?? '20')
const hangsAt = process.env['HANGS_AT']
const paths: Record<string, Counts> = {}
let issued = 0
let answered = 0

function countRequest(path: string): Counts {
  const counts = (paths[path] ??= { requests: 0, underWay: 0, mostAtOnce: 0 })
  counts.requests += 1
  counts.underWay += 1
  counts.mostAtOnce = Math.max(counts.mostAtOnce, counts.underWay)
  return counts
}

const server = createServer((request, response) => {
  if (request.method === 'GET') return void response.end(JSON.stringify({ answered, paths }))
  request.resume()
  const counts = countRequest(request.url ?? '')
  response.once('close', () => void (counts.underWay -= 1))
  if (request.url === hangsAt) return
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
