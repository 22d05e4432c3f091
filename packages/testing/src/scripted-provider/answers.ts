// What a scripted provider can be told to answer.
import type { Answer, Exchange, RecordedRequest, Step } from './exchange.ts'

type Fields = Readonly<Record<string, unknown>>
type Headers = Readonly<Record<string, string>>

export function json(
  fields: Fields,
  { status = 200, headers = {} }: { status?: number; headers?: Headers } = {},
): Answer {
  return {
    kind: 'json',
    status,
    headers,
    fields,
  }
}

/** Form-encoded, as GitHub answers without an Accept header; any content type can be claimed. */
export function form(
  fields: Readonly<Record<string, string>>,
  { status = 200, contentType = 'application/x-www-form-urlencoded' }: { status?: number; contentType?: string } = {},
): Answer {
  return text(new URLSearchParams(fields).toString(), { status, contentType })
}

export function text(
  body: string,
  {
    status = 200,
    contentType = 'text/plain',
    headers = {},
  }: { status?: number; contentType?: string; headers?: Headers } = {},
): Answer {
  return { kind: 'reply', status, headers: { 'content-type': contentType, ...headers }, body }
}

/** RFC 6749 §5.2. Status 200 makes it one of those providers that report errors as success. */
export function oauthError(
  error: string,
  { status = 400, description, headers }: { status?: number; description?: string; headers?: Headers } = {},
): Answer {
  return json(
    { error, ...(description === undefined ? {} : { error_description: description }) },
    { status, headers: headers ?? {} },
  )
}

export function tooManyRequests(retryAfter: string | number): Answer {
  return json({ error: 'slow_down' }, { status: 429, headers: { 'retry-after': String(retryAfter) } })
}

export function serverError(status = 503, retryAfter?: string | number): Answer {
  return text('the provider is unwell', {
    status,
    headers: retryAfter === undefined ? {} : { 'retry-after': String(retryAfter) },
  })
}

export function redirect(location: string, status = 302): Answer {
  return {
    kind: 'reply',
    status,
    headers: { location },
    body: '',
  }
}

/** Neither JSON nor a form, whatever it claims to be. */
export function junk(contentType = 'application/json'): Answer {
  return text('<html>{"not": json', { contentType })
}

/** Valid JSON of at least `bytes` bytes. */
export function oversized(bytes: number, fields: Fields = {}): Answer {
  return text(JSON.stringify(fields) + ' '.repeat(bytes), { contentType: 'application/json' })
}

/** Closes the connection without an answer, and without doing anything. */
export function cutConnection(): Answer {
  return { kind: 'cut', midway: false }
}

/** Closes the connection in the middle of an answer. */
export function cutMidway(): Answer {
  return { kind: 'cut', midway: true }
}

/** Never answers. */
export function stall(): Answer {
  return { kind: 'stall', drips: false }
}

/** Sends the headers and then a byte now and then, for ever. */
export function drip(): Answer {
  return { kind: 'stall', drips: true }
}

/** The honest answer with some fields changed; `undefined` removes one. */
export function alter(fields: Fields): Step {
  return async ({ honest }) => {
    const answer = await honest()
    if (answer.kind !== 'json') throw new Error(`only a JSON answer can be altered, and this one is ${answer.kind}`)
    return { ...answer, fields: { ...answer.fields, ...fields } }
  }
}

/** The honest answer as a form. */
export function honestAsForm(contentType?: string): Step {
  return async ({ honest }) => {
    const answer = await honest()
    if (answer.kind !== 'json') throw new Error(`only a JSON answer can become a form, and this one is ${answer.kind}`)
    const fields = Object.entries(answer.fields).filter(([, value]) => value !== undefined)
    const status = answer.status
    return form(
      Object.fromEntries(fields.map(([name, value]) => [name, String(value)])),
      contentType === undefined ? { status } : { status, contentType },
    )
  }
}

/** Everything is done (a refresh token is used up, say), but the answer never arrives. */
export function loseAnswer(): Step {
  return async (exchange) => {
    await exchange.honest()
    return cutConnection()
  }
}

/** A step that waits until the test opens it. */
export type Gate = {
  readonly step: Step
  /** Resolves when a request stands before the gate. */
  readonly arrived: Promise<RecordedRequest>
  readonly open: () => void
}

/**
 * Holds a request until the test says so: `before` the provider does anything, or `after`, when it has done everything
 * but answer.
 */
export function createGate(position: 'before' | 'after' = 'before', then: Step = ({ honest }) => honest()): Gate {
  const arrival = Promise.withResolvers<RecordedRequest>()
  const opening = Promise.withResolvers<void>()
  const wait = async (request: RecordedRequest): Promise<void> => {
    arrival.resolve(request)
    await opening.promise
  }
  const step = async (exchange: Exchange): Promise<Answer> => {
    if (position === 'before') await wait(exchange.request)
    const answer = await resolveStep(then, exchange)
    if (position === 'after') await wait(exchange.request)
    return answer
  }
  return { step, arrived: arrival.promise, open: opening.resolve }
}

export async function resolveStep(step: Step, exchange: Exchange): Promise<Answer> {
  return typeof step === 'function' ? step(exchange) : step
}
