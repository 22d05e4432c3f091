import type { ServerResponse } from 'node:http'
import type { Answer } from './exchange.ts'

/** Resolves when the answer is out, or the connection gone. */
export async function sendAnswer(response: ServerResponse, answer: Answer): Promise<void> {
  if (response.destroyed) return
  const closed = new Promise<void>((resolve) => response.once('close', resolve))
  switch (answer.kind) {
    case 'reply':
      response.writeHead(answer.status, answer.headers).end(answer.body)
      break
    case 'json': {
      const type = { 'content-type': 'application/json', 'cache-control': 'no-store' }
      response.writeHead(answer.status, { ...type, ...answer.headers }).end(JSON.stringify(answer.fields))
      break
    }
    case 'cut':
      cut(response, answer.midway)
      break
    case 'stall':
      if (answer.drips) dripInto(response)
      break
  }
  await closed
}

function cut(response: ServerResponse, midway: boolean): void {
  if (!midway) return void response.destroy()
  response.writeHead(200, { 'content-type': 'application/json', 'content-length': '1000' })
  response.write('{"access_token":"hal', () => response.destroy())
}

function dripInto(response: ServerResponse): void {
  response.writeHead(200, { 'content-type': 'application/json' }).flushHeaders()
  const timer = setInterval(() => response.write(' '), 50)
  response.once('close', () => clearInterval(timer))
}
