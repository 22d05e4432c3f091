// One hop of the bare proxy that token reads are measured against: the least a Fastify service can do.
// `bare-service.ts back` answers a constant; `bare-service.ts front URL` forwards to it over kept-alive connections.
import { fastify } from 'fastify'
import { Pool } from 'undici'

const [role, target] = process.argv.slice(2)
const app = fastify({ logger: false })

if (role === 'back') {
  // the size of a real answer, given by whoever measures
  const body = 'x'.repeat(Number(process.env['BODY_BYTES'] ?? '700'))
  app.get('/v1/token/:id', async (_request, reply) => reply.type('application/json').send(JSON.stringify({ body })))
} else {
  const pool = new Pool(target ?? '', { connections: 64, pipelining: 1 })
  app.get('/v1/token/:id', async (request, reply) => {
    const answer = await pool.request({ method: 'GET', path: request.url })
    return reply
      .code(answer.statusCode)
      .type('application/json')
      .send(Buffer.from(await answer.body.arrayBuffer()))
  })
}
app.get('/health', async () => ({ status: 'ok' }))
await app.listen({ host: '127.0.0.1', port: Number(process.env['PORT']) })
