import type { Provider } from './types.ts'

/** @param providerId - of the profile that the connection is of: its name may be given to another one by now */
export type AllowOrigins = (providerId: string) => Promise<ReadonlySet<string>>

/**
 * Where a credential may be sent. An agent acts on texts that others wrote; that one of them says "fetch https://…" must
 * not be enough to send a person's key there. So it is what the developer names, or else what the operator has written
 * in the provider's profile.
 *
 * @throws TypeError for what is no http(s) origin
 */
export function allowOrigins(
  named: readonly string[] | undefined,
  list: () => Promise<readonly Provider[]>,
): AllowOrigins {
  if (named !== undefined) {
    const origins = new Set(named.map(originOf))
    return async () => origins
  }
  let known: Promise<ReadonlySet<string>> | undefined
  return async (providerId) => {
    const asked = (known ??= originsOfProfile(providerId, list))
    const forget = (): void => {
      if (known === asked) known = undefined
    }
    const origins = await asked.catch((error: unknown) => {
      forget()
      throw error
    })
    // until an operator says where
    if (origins.size === 0) forget()
    return origins
  }
}

async function originsOfProfile(id: string, list: () => Promise<readonly Provider[]>): Promise<ReadonlySet<string>> {
  const apiBaseUrl = (await list()).find((provider) => provider.id === id)?.apiBaseUrl
  return new Set(apiBaseUrl === undefined || apiBaseUrl === null ? [] : [originOf(apiBaseUrl)])
}

function originOf(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url === undefined || !/^https?:$/.test(url.protocol)) throw new TypeError(`not an http(s) origin: ${text}`)
  return url.origin
}
