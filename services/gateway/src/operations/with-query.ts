/** A path of the Broker with a query of what is given; parameters that are undefined are left out. */
export function withQuery(path: string, query: Readonly<Record<string, string | number | undefined>>): string {
  const parameters = new URLSearchParams()
  for (const [name, value] of Object.entries(query)) {
    if (value !== undefined) parameters.set(name, String(value))
  }
  return `${path}?${parameters.toString()}`
}
