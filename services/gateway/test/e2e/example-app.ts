import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'

export type Completion = {
  readonly connection_id: string | null
  readonly completion_code: string | null
  readonly user_id: string
}

export type ExampleApp = AsyncDisposable & {
  readonly url: string
  /** What it told Nexus, and was told. */
  readonly completions: readonly { readonly asked: Completion; readonly status: number }[]
}

/**
 * An app with users of its own, as docs/security-model.md has it: a session cookie says who is there, and that is whom it
 * names when somebody comes back from connecting an account.
 */
export async function startExampleApp(
  complete: (completion: Completion) => Promise<{
    readonly status: number
    readonly body: { readonly code?: string; readonly details?: { readonly status?: string } }
  }>,
): Promise<ExampleApp> {
  const completions: { asked: Completion; status: number }[] = []
  const server = createServer((request, response) => void answer(request, response))

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '', 'http://app')
    if (url.pathname === '/sign-in') {
      response.setHeader('set-cookie', `session=${url.searchParams.get('user')}; Path=/; HttpOnly; SameSite=Lax`)
      return show(response, 'Signed in')
    }
    const user = /(?:^|; )session=(\w+)/.exec(request.headers.cookie ?? '')?.[1]
    if (url.pathname !== '/connected' || user === undefined) return show(response, 'Please sign in')
    if (url.searchParams.get('status') !== 'completion_required') return show(response, 'Not connected')
    const asked = {
      connection_id: url.searchParams.get('connection_id'),
      completion_code: url.searchParams.get('completion_code'),
      user_id: user,
    }
    const { status, body } = await complete(asked)
    completions.push({ asked, status })
    // a page that is loaded again asks again
    const isDone = status === 200 || (body.code === 'already_completed' && body.details?.status === 'active')
    show(response, isDone ? `Connected for ${user}` : 'That did not start with you')
  }

  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('a TCP server has no port')
  return {
    url: `http://127.0.0.1:${address.port}`,
    completions,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}

function show(response: ServerResponse, heading: string): void {
  response.setHeader('content-type', 'text/html; charset=utf-8')
  response.end(`<!doctype html><title>The app</title><h1>${heading}</h1>`)
}
