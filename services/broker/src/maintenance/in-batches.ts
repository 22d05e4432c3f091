const batchSize = 1000
/** Per sweep: whoever comes back after a long absence finds much to do, and does not hold up the other jobs for it. */
const maxBatches = 20

/**
 * Works through what there is in batches, each a short statement of its own, until one is not full any more. What is left
 * after the last one is for the next sweep.
 * @param work - does up to `limit` rows and says how many it did
 * @returns how many rows were done
 */
export async function inBatches(work: (limit: number) => Promise<number>, signal: AbortSignal): Promise<number> {
  let total = 0
  for (let n = 0; n < maxBatches && !signal.aborted; n++) {
    const done = await work(batchSize)
    total += done
    if (done < batchSize) break
  }
  return total
}
