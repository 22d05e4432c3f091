import type { Dispatcher } from 'undici'
import { ProviderError } from './provider-errors.ts'

/** For requests that must be known to have been sent, or not. */
export type SendingHooks = {
  /** Asked when the connection stands, right before the first byte: false gives the request up. */
  readonly maySend: () => boolean
  /** Told when the last byte is out. */
  readonly onSent: () => void
}

/** undici calls `onRequestStart` when it has a connection for the request, and writes nothing where that throws. */
export function withSendingHooks(dispatcher: Dispatcher, hooks: SendingHooks): Dispatcher {
  return dispatcher.compose(
    (dispatch) => (options, handler) =>
      dispatch(options, {
        onRequestStart(controller, context) {
          handler.onRequestStart?.(controller, context)
          if (!hooks.maySend()) throw new ProviderError('unavailable', 'the request was held back')
        },
        onRequestSent() {
          hooks.onSent()
          handler.onRequestSent?.()
        },
        onBodySent: (chunk) => handler.onBodySent?.(chunk),
        onRequestUpgrade: (...upgrade) => handler.onRequestUpgrade?.(...upgrade),
        onResponseStarted: () => handler.onResponseStarted?.(),
        onResponseStart: (...start) => handler.onResponseStart?.(...start),
        onResponseData: (...data) => handler.onResponseData?.(...data),
        onResponseEnd: (...end) => handler.onResponseEnd?.(...end),
        onResponseError: (...error) => handler.onResponseError?.(...error),
      }),
  )
}
