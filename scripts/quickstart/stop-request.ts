/**
 * Resolves `asked` when somebody wants us to stop: a signal, or the end of the program that started us. A second signal
 * ends the process at once.
 */
export const listenForStop = (): { readonly asked: Promise<void>; readonly stopping: AbortSignal } => {
  const { promise, resolve } = Promise.withResolvers<void>()
  const controller = new AbortController()
  let askedAt: number | undefined
  const ask = (): void => {
    // one Ctrl-C arrives up to three times: from the terminal, from npm and from bootstrap.mjs
    if (askedAt !== undefined && performance.now() - askedAt > 1000) process.exit(1)
    askedAt ??= performance.now()
    controller.abort(new StopRequested())
    resolve()
  }
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, ask)
  process.once('disconnect', ask)
  process.channel?.unref()
  return { asked: promise, stopping: controller.signal }
}

/** Not a failure: somebody asked for it. */
export class StopRequested extends Error {}
