/** Milliseconds. Probes of many load balancers then cost the Broker one request a second. */
const freshForMs = 1_000

/**
 * Remembers briefly whether the Broker is ready, and asks once however many want to know.
 *
 * @param now - monotonic milliseconds
 */
export function rememberReadiness(isReady: () => Promise<boolean>, now: () => number): () => Promise<boolean> {
  let known: { readonly answer: Promise<boolean>; readonly until: number } | undefined

  return () => {
    if (known !== undefined && now() < known.until) return known.answer
    const answer = isReady()
    // not asked again while the answer is under way
    known = { answer, until: Number.POSITIVE_INFINITY }
    const remember = () => {
      known = { answer, until: now() + freshForMs }
    }
    answer.then(remember, remember)
    return answer
  }
}
