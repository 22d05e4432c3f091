export type BackoffLimits = { readonly firstSeconds: number; readonly longestSeconds: number }

/**
 * How long to pause after the nth failure in a row, in seconds: doubling from the first pause to the longest, with jitter
 * in the upper half, so that what failed together does not come back together.
 *
 * @param random - uniform in [0, 1)
 */
export function backoffSeconds(
  failures: number,
  { firstSeconds, longestSeconds }: BackoffLimits,
  random: () => number,
): number {
  const ceiling = Math.min(firstSeconds * 2 ** Math.min(failures - 1, 30), longestSeconds)
  return ceiling / 2 + random() * (ceiling / 2)
}
