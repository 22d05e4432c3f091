import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { resolveStep } from './scripted-provider/answers.ts'
import type { Answer, RecordedRequest, Step } from './scripted-provider/exchange.ts'
import { createRecorder } from './scripted-provider/recorder.ts'
import { sendAnswer } from './scripted-provider/send-answer.ts'

/** An app that is told of things. It answers 204 until told otherwise. */
export type WebhookReceiver = AsyncDisposable & {
  /** `http://127.0.0.1:<port>` */
  readonly url: string
  readonly port: number
  /** Every request, in order of arrival, whatever its path. */
  readonly requests: readonly RecordedRequest[]
  /** Answers for the next requests, one each, in this order. */
  readonly next: (...steps: readonly Step[]) => void
  /** The answer whenever nothing is queued; `undefined`: 204 again. */
  readonly always: (step: Step | undefined) => void
}

const accepted: Answer = { kind: 'reply', status: 204, headers: {}, body: '' }

/** Starts a receiver on a free port of 127.0.0.1. Disposing of it throws if a scripted answer was never asked for. */
export async function startWebhookReceiver(): Promise<WebhookReceiver> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('a TCP server has no port')
  const url = `http://127.0.0.1:${address.port}`
  const recorder = createRecorder(url)
  const queue: Step[] = []
  let standing: Step | undefined

  const serve = async (incoming: IncomingMessage, response: ServerResponse): Promise<void> => {
    const request = await recorder.record(incoming)
    const step = queue.shift() ?? standing ?? accepted
    await sendAnswer(response, await resolveStep(step, { request, honest: async () => accepted }))
  }
  server.on('request', (incoming, response) => {
    // a sender that was killed while it sent is no fault of the receiver
    serve(incoming, response).catch(() => response.destroy())
  })
  return {
    url,
    port: address.port,
    requests: recorder.requests,
    next: (...steps) => void queue.push(...steps),
    always: (step) => {
      standing = step
    },
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
      if (queue.length > 0) throw new Error(`${queue.length} scripted answers were never asked for`)
    },
  }
}
