import { isServerErrorCode, NexusError } from './errors.ts'

/** An object in an answer of Nexus, and whose answer it is. */
export type Answer = {
  readonly body: Readonly<Record<string, unknown>>
  readonly status: number
  readonly requestId: string | undefined
}

/**
 * The JSON object in a response.
 *
 * @throws NexusError of the answered code; `unexpected_answer` for what Nexus does not say; `network_error` for what
 *   breaks off
 */
export async function readAnswer(response: Response): Promise<Answer> {
  const { status } = response
  const requestId = response.headers.get('x-request-id') ?? undefined
  const text = await readText(response, requestId)
  const body = parseObject(text)
  const answer = { body: body ?? {}, status, requestId }
  if (response.ok && body !== undefined) return answer
  const retryAfterSeconds = readRetryAfter(response.headers)
  const code = body?.['code']
  if (!response.ok && typeof code === 'string') throw answeredError(answer, code, retryAfterSeconds)
  throw new NexusError('unexpected_answer', describeStranger(response), { status, requestId, retryAfterSeconds })
}

async function readText(response: Response, requestId: string | undefined): Promise<string> {
  try {
    return await response.text()
  } catch (cause) {
    // ours to tell apart: an abort has broken it off just as well
    throw new NexusError('network_error', 'the answer of Nexus broke off', {
      status: response.status,
      requestId,
      cause,
    })
  }
}

/** V8's own error would quote the text, which may be a credential. */
function parseObject(text: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(text)
    return isObject(value) ? value : undefined
  } catch {
    return undefined
  }
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function answeredError(
  { body, status, requestId }: Answer,
  code: string,
  retryAfterSeconds: number | undefined,
): NexusError {
  const isKnown = isServerErrorCode(code)
  const message = typeof body['message'] === 'string' ? body['message'] : `Nexus answered ${status}`
  const details = isObject(body['details']) ? body['details'] : undefined
  return new NexusError(isKnown ? code : 'unknown_code', message, {
    status,
    requestId: typeof body['request_id'] === 'string' ? body['request_id'] : requestId,
    details: isKnown ? details : { ...details, code },
    retryAfterSeconds,
  })
}

/** A page of a proxy, a redirect, another service. What it says is not repeated: it is not known what is in it. */
function describeStranger(response: Response): string {
  const { status, headers } = response
  const location = headers.get('location')
  if (location !== null && URL.canParse(location, response.url)) {
    const { origin } = new URL(location, response.url)
    return `redirected to ${origin} (${status}): is baseUrl the Gateway's own address, with https where it has it?`
  }
  const type = headers.get('content-type')?.split(';')[0] ?? 'no content type'
  return `what answered ${status} (${type}) is not Nexus: is baseUrl the Gateway, and what stands between?`
}

/** Seconds, given as such or as a date (RFC 9110 §10.2.3). */
function readRetryAfter(headers: Headers): number | undefined {
  const value = headers.get('retry-after')
  if (value === null) return undefined
  if (/^\d{1,9}$/.test(value)) return Number(value)
  const until = Date.parse(value)
  return Number.isNaN(until) ? undefined : Math.max(0, Math.ceil((until - Date.now()) / 1000))
}

export function textOf(answer: Answer, field: string): string {
  const value = answer.body[field]
  if (typeof value !== 'string') throw notTheContract(answer, field)
  return value
}

export function textOrNull(answer: Answer, field: string): string | null {
  return answer.body[field] === undefined || answer.body[field] === null ? null : textOf(answer, field)
}

export function oneOfTexts<Text extends string>(answer: Answer, field: string, texts: readonly Text[]): Text {
  const value = textOf(answer, field)
  const known = texts.find((text) => text === value)
  if (known === undefined) throw notTheContract(answer, field)
  return known
}

export function listOf(answer: Answer, field: string): readonly string[] {
  const value: unknown = answer.body[field]
  if (!Array.isArray(value) || !value.every((item) => typeof item === 'string')) throw notTheContract(answer, field)
  return value
}

export function objectOf(answer: Answer, field: string): Answer {
  const value = answer.body[field]
  if (!isObject(value)) throw notTheContract(answer, field)
  return { ...answer, body: value }
}

function notTheContract({ status, requestId }: Answer, field: string): NexusError {
  const message = `${field} in the answer of Nexus is not what this version of @nexus/sdk understands: upgrade it?`
  return new NexusError('unexpected_answer', message, { status, requestId, details: { field } })
}
