import type { ProviderPreview, ProviderProfileInput } from '@nexus/contracts'
import { ApiError, CliError } from '../errors.ts'
import type { BrokerProfiles } from './broker-profiles.ts'
import { type FieldChange, compareProfiles, listFields } from './compare-profiles.ts'
import type { WantedProfile } from './read-profiles.ts'

export type Step =
  | {
      readonly action: 'create'
      readonly name: string
      readonly input: ProviderProfileInput
      readonly fields: readonly FieldChange[]
    }
  | {
      readonly action: 'update'
      readonly name: string
      readonly id: string
      readonly revision: number
      readonly input: ProviderProfileInput
      readonly fields: readonly FieldChange[]
    }
  | {
      readonly action: 'remove'
      readonly name: string
      readonly id: string
      readonly revision: number
      readonly fields: readonly FieldChange[]
    }

export type Plan = {
  /** In the order in which they are carried out; what is removed comes last. */
  readonly steps: readonly Step[]
  readonly unchanged: readonly string[]
  /** Profiles that are not in the file and are left alone. */
  readonly unmanaged: readonly string[]
  /** Zones that profiles of the file name, and that are not there. */
  readonly missingZones: readonly { readonly profile: string; readonly zone: string }[]
}

/**
 * What would make the Broker's profiles those of the file. The Broker itself says what each would be, so that the plan knows
 * its defaults and its rules.
 * @throws CliError with every profile that the Broker would refuse
 */
export async function makePlan(
  broker: BrokerProfiles,
  wanted: readonly WantedProfile[],
  { prunes }: { readonly prunes: boolean },
): Promise<Plan> {
  const previews = await previewAll(broker, wanted)
  const saving: (Step | undefined)[] = []
  for (const { input, preview } of previews) saving.push(await planProfile(broker, input, preview))
  const names = new Set(wanted.map(({ input }) => input.name))
  const others = (await broker.list()).filter(({ name }) => !names.has(name))
  const removing: Step[] = []
  for (const { id, name } of prunes ? others : []) {
    removing.push({ action: 'remove', name, id, revision: (await broker.get(id)).revision, fields: [] })
  }
  return {
    steps: [...saving.filter((step) => step !== undefined), ...removing],
    unchanged: previews.filter((_, at) => saving[at] === undefined).map(({ input }) => input.name),
    unmanaged: prunes ? [] : others.map(({ name }) => name),
    missingZones: previews.flatMap(({ input, preview }) =>
      preview.missing_zones.map((zone) => ({ profile: input.name, zone })),
    ),
  }
}

type Previewed = { readonly input: ProviderProfileInput; readonly preview: ProviderPreview }

async function previewAll(broker: BrokerProfiles, wanted: readonly WantedProfile[]): Promise<readonly Previewed[]> {
  const previews: Previewed[] = []
  const faults: string[] = []
  for (const { input, place } of wanted) {
    try {
      previews.push({ input, preview: await broker.preview(input) })
    } catch (error) {
      const isOfProfile = error instanceof ApiError && [400, 409, 422].includes(error.status)
      if (!isOfProfile) throw error
      faults.push(`${place}: ${input.name}: ${error.message}`)
    }
  }
  if (faults.length > 0) throw new CliError(faults.join('\n       '))
  return previews
}

/** @returns undefined where nothing differs */
async function planProfile(
  broker: BrokerProfiles,
  input: ProviderProfileInput,
  { current, next }: ProviderPreview,
): Promise<Step | undefined> {
  const { name, client_secret: clientSecret } = input
  if (current === null) {
    const redirect = next.redirect_uri === null ? {} : { redirect_uri: next.redirect_uri }
    return { action: 'create', name, input, fields: listFields({ ...input, ...redirect }) }
  }
  const { id, revision } = current
  const fields = compareProfiles(current, next)
  const secret = await compareSecret(broker, id, current.has_client_secret, clientSecret)
  if (fields.length + secret.length === 0) return undefined
  // where endpoints move the Broker wants to hear the secret again, else only a new one is sent
  const isSent = secret.length > 0 || fields.some(({ field }) => /^(?:issuer|\w+_ur[il])$/.test(field))
  const { client_secret: _, ...rest } = input
  return { action: 'update', name, id, revision, input: isSent ? input : rest, fields: [...fields, ...secret] }
}

/** A file without a secret says nothing about it: the stored one stays. */
async function compareSecret(
  broker: BrokerProfiles,
  id: string,
  isStored: boolean,
  clientSecret: string | undefined,
): Promise<readonly FieldChange[]> {
  if (clientSecret === undefined) return []
  if (!isStored) return [{ sign: '+', field: 'client_secret', after: '(secret)' }]
  if (await broker.secretMatches(id, clientSecret)) return []
  return [{ sign: '~', field: 'client_secret', before: '(stored secret)', after: '(another secret)' }]
}
