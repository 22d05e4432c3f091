/** A map that forgets what was not asked for longest, so that many profiles cannot fill the memory. */
type BoundedMap<T> = {
  get(key: string): T | undefined
  set(key: string, value: T): void
  delete(key: string): void
}

export function createBoundedMap<T>(maxEntries: number): BoundedMap<T> {
  const entries = new Map<string, T>()

  function put(key: string, value: T): void {
    // A Map lists its keys in the order of insertion: the first is the one not touched longest.
    entries.delete(key)
    entries.set(key, value)
    const [oldest] = entries.keys()
    if (entries.size > maxEntries && oldest !== undefined) entries.delete(oldest)
  }

  return {
    get(key) {
      const value = entries.get(key)
      if (value !== undefined) put(key, value)
      return value
    },
    set: put,
    delete: (key) => void entries.delete(key),
  }
}
