import { AppError } from '@nexus/service'

/** Checks that a URL is one Nexus may call; throws with the reason otherwise (P4). */
export type AssertUrlAllowed = (url: string) => Promise<void>

/** @throws AppError `invalid_profile`, naming the field */
export function refuseProfile(field: string, problem: string): never {
  throw new AppError('invalid_profile', `${field}: ${problem}`, { details: { field } })
}

/** @throws AppError `invalid_profile` for the first of the URLs that Nexus may not call */
export async function assertUrls(
  urls: Readonly<Record<string, string | undefined>>,
  assertUrlAllowed: AssertUrlAllowed,
): Promise<void> {
  for (const [field, url] of Object.entries(urls)) {
    if (url === undefined) continue
    await assertUrlAllowed(url).catch((error: unknown) => {
      refuseProfile(field, error instanceof Error ? error.message : 'is not a URL that may be called')
    })
  }
}
