import type { Dispatcher } from 'undici'

export type WireAnswer = {
  readonly status: number
  /** Lower-case names; a repeated header is a list. */
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>
  readonly body: Buffer
}

/** Why no whole answer came. `began` tells whether the peer had started to answer. */
export class WireError extends Error {
  override readonly name = 'WireError'
  readonly kind: 'network' | 'deadline' | 'oversized'
  readonly began: boolean

  constructor(kind: WireError['kind'], began: boolean, cause?: unknown) {
    super(`no answer: ${kind}`, { cause })
    this.kind = kind
    this.began = began
  }
}

export type AnswerLimits = {
  /** Milliseconds for everything: waiting for a connection, sending, and the last byte of the answer. */
  readonly deadlineMs: number
  readonly maxAnswerBytes: number
}

/**
 * Collects one answer of undici's dispatcher in memory. `dispatch` itself rather than `request`, because an abort of the
 * latter is not felt while the call still waits for a connection, and a signal for each call costs more than this timer.
 */
export class AnswerCollector implements Dispatcher.DispatchHandler {
  readonly answer: Promise<WireAnswer>
  readonly #limits: AnswerLimits
  readonly #timer: NodeJS.Timeout
  readonly #chunks: Buffer[] = []
  #settle!: { resolve: (answer: WireAnswer) => void; reject: (error: WireError) => void }
  #controller: Dispatcher.DispatchController | undefined
  #failure: WireError | undefined
  #size = 0
  #status = 0
  #headers: WireAnswer['headers'] = {}

  constructor(limits: AnswerLimits) {
    this.#limits = limits
    this.answer = new Promise((resolve, reject) => {
      this.#settle = { resolve, reject }
    })
    this.#timer = setTimeout(() => this.fail('deadline'), limits.deadlineMs)
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    if (this.#failure === undefined) this.#controller = controller
    else controller.abort(this.#failure)
  }

  onResponseStart(
    _controller: Dispatcher.DispatchController,
    statusCode: number,
    headers: WireAnswer['headers'],
  ): void {
    this.#status = statusCode
    this.#headers = headers
  }

  onResponseData(_controller: Dispatcher.DispatchController, chunk: Buffer): void {
    this.#size += chunk.length
    if (this.#size > this.#limits.maxAnswerBytes) this.fail('oversized')
    else this.#chunks.push(chunk)
  }

  onResponseEnd(): void {
    clearTimeout(this.#timer)
    const [first] = this.#chunks
    const body = first !== undefined && this.#chunks.length === 1 ? first : Buffer.concat(this.#chunks, this.#size)
    this.#settle.resolve({ status: this.#status, headers: this.#headers, body })
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    this.fail('network', error)
  }

  fail(kind: WireError['kind'], cause?: unknown): void {
    if (this.#failure !== undefined) return
    clearTimeout(this.#timer)
    this.#failure = new WireError(kind, this.#status !== 0, cause)
    this.#settle.reject(this.#failure)
    this.#controller?.abort(this.#failure)
  }
}
