import { z } from 'zod'
import { ApiError, CliError } from './errors.ts'
import { printable } from './output/text.ts'

const patienceMs = 60_000

export type JsonApiOptions = {
  /** Without a slash at its end. */
  readonly baseUrl: string
  /** How errors call it: `the Broker`. */
  readonly name: string
  readonly headers: Readonly<Record<string, string>>
  readonly fetch: typeof globalThis.fetch
  readonly signal: AbortSignal
  /** What a refusal means here, by its code, where the service's own words would mislead. */
  readonly refusals?: Readonly<Record<string, string | undefined>>
}

type Sent = {
  readonly query?: Readonly<Record<string, string | number | undefined>>
  readonly body?: unknown
}

/** One of Nexus' services, as operators talk to it. */
export type JsonApi = {
  /** @throws ApiError what the service refused; CliError where it cannot be reached, or is something else */
  readonly send: <Answer>(method: string, path: string, answer: z.ZodType<Answer>, sent?: Sent) => Promise<Answer>
}

const refusal = z.object({ code: z.string(), message: z.string(), request_id: z.string().optional() })

export function createJsonApi(options: JsonApiOptions): JsonApi {
  return {
    async send(method, path, answer, sent = {}) {
      const response = await request(options, method, path, sent)
      const { status } = response
      const body = parse(await readText(options, response))
      if (!response.ok) throw toError(options, status, body)
      const parsed = answer.safeParse(body)
      if (parsed.success) return parsed.data
      throw new CliError(
        `${options.name} at ${hostOf(options)} answered ${path} as no version of Nexus does that this one knows`,
      )
    },
  }
}

async function request(
  { baseUrl, ...options }: JsonApiOptions,
  method: string,
  path: string,
  sent: Sent,
): Promise<Response> {
  const url = new URL(`${baseUrl}${path}`)
  for (const [name, value] of Object.entries(sent.query ?? {})) {
    if (value !== undefined) url.searchParams.set(name, String(value))
  }
  const hasBody = sent.body !== undefined
  try {
    return await options.fetch(url, {
      method,
      headers: {
        ...options.headers,
        accept: 'application/json',
        ...(hasBody && { 'content-type': 'application/json' }),
      },
      body: hasBody ? JSON.stringify(sent.body) : null,
      // a redirect would carry the key somewhere else
      redirect: 'manual',
      signal: AbortSignal.any([options.signal, AbortSignal.timeout(patienceMs)]),
    })
  } catch (error) {
    throw toUnreachable({ baseUrl, ...options }, error)
  }
}

async function readText(options: JsonApiOptions, response: Response): Promise<string> {
  try {
    return await response.text()
  } catch (error) {
    throw toUnreachable(options, error)
  }
}

function toUnreachable(options: JsonApiOptions, error: unknown): CliError {
  const isLate = error instanceof Error && error.name === 'TimeoutError'
  const cause: unknown = error instanceof Error ? error.cause : undefined
  const code = cause instanceof Error && 'code' in cause ? ` (${String(cause.code)})` : ''
  const what = isLate ? `did not answer within ${patienceMs / 1000} s` : `cannot be reached${code}`
  return new CliError(`${options.name} at ${hostOf(options)} ${what}`, { cause: error })
}

function toError(options: JsonApiOptions, status: number, body: unknown): CliError {
  const { data } = refusal.safeParse(body)
  if (data === undefined)
    return new CliError(`${hostOf(options)} answered ${status}, and not as ${options.name} of Nexus does`)
  const meaning = options.refusals?.[data.code]
  if (meaning !== undefined) return new CliError(meaning)
  const named = data.request_id === undefined ? '' : ` (request ${data.request_id})`
  return new ApiError(data.code, printable(`${data.message}${status >= 500 ? named : ''}`), status)
}

function hostOf({ baseUrl }: JsonApiOptions): string {
  return new URL(baseUrl).host
}

function parse(text: string): unknown {
  try {
    return text === '' ? null : JSON.parse(text)
  } catch {
    return undefined
  }
}
