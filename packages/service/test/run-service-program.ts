/** A small service for run-service.integration.test.ts; MODE says how it behaves. */
import { setTimeout as sleep } from 'node:timers/promises'
import { port, readConfig } from '@nexus/config'
import { createLogger, createServer, runService } from '@nexus/service'
import { z } from 'zod'

const mode = process.env['MODE'] ?? 'plain'
const logger = createLogger({ level: 'info', service: 'program' })

await runService({
  name: 'test-program',
  graceSeconds: 0.3,
  start: async () => {
    if (mode === 'config')
      readConfig(z.object({ PORT: port(1), MISSING: z.string(), ALSO_MISSING: z.string() }), process.env)
    if (mode === 'start-fails')
      throw new Error('the store is of another version\nand more', { cause: new Error('why') })
    if (mode === 'start-hangs') {
      process.stdout.write('starting\n')
      await sleep(60_000)
    }
    const app = createServer({ logger })
    app.get('/health', async () => ({ status: 'ok' }))
    app.get('/slow', async () => {
      process.stdout.write('slow begun\n')
      await sleep(250)
      return 'slow done'
    })
    app.get('/reject', async () => {
      void Promise.reject(new Error('nobody caught this'))
      return 'ok'
    })
    app.get('/throw', async () => {
      setImmediate(() => {
        throw new Error('nobody caught that')
      })
      return 'ok'
    })
    const address = await app.listen({ host: '127.0.0.1', port: Number(process.env['PORT']) })
    const close = async (): Promise<void> => {
      await app.close()
      if (mode === 'close-hangs') await sleep(60_000)
      if (mode === 'close-fails') throw new Error('a lease could not be released')
      process.stdout.write('disposed\n')
    }
    return { address, close, logger, graceSeconds: mode === 'close-hangs' ? 0.2 : 20 }
  },
})
