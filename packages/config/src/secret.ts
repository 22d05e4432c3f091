import { inspect } from 'node:util'

const redacted = '[secret]'

/**
 * A value that is never shown by accident: printed, logged, put into JSON or inspected, it says `[secret]`.
 * `reveal()` is the only way to it, so every place that handles the plain value can be found by that word.
 */
export class Secret<T> {
  // a private field, not a property: util.inspect, structuredClone and object spread do not see it
  readonly #value: T

  constructor(value: T) {
    this.#value = value
  }

  reveal(): T {
    return this.#value
  }

  toString(): string {
    return redacted
  }

  toJSON(): string {
    return redacted
  }

  [inspect.custom](): string {
    return redacted
  }
}
