import { CliError, codeOf, describeError } from '../errors.ts'
import type { BrokerProfiles } from './broker-profiles.ts'
import type { Plan, Step } from './plan.ts'

/** What became of a step; `redirectUri` is to be registered at the provider. */
export type DoneStep = { readonly step: Step; readonly redirectUri: string | null }

/**
 * Carries a plan out, step by step. It stops at the first that fails, and at the first profile that somebody else has
 * changed since the plan was made; what was done stays done, and a new plan shows what is left.
 * @throws CliError that names the profile, and how many steps were not taken
 */
export async function applyPlan(broker: BrokerProfiles, plan: Plan, onDone: (done: DoneStep) => void): Promise<void> {
  for (const [at, step] of plan.steps.entries()) {
    try {
      onDone({ step, redirectUri: await carryOut(broker, step) })
    } catch (error) {
      const left = plan.steps.length - at
      const advice = codeOf(error) === 'revision_conflict' ? ' Make a new plan.' : ''
      const counted = `${left} of ${plan.steps.length} changes were not made.`
      throw new CliError(`${step.name}: ${describeError(error)} ${counted}${advice}`, { cause: error })
    }
  }
}

async function carryOut(broker: BrokerProfiles, step: Step): Promise<string | null> {
  switch (step.action) {
    case 'create':
      return (await broker.create(step.input)).redirect_uri
    case 'update': {
      const { redirect_uri: redirectUri } = await broker.replace(step.id, step.revision, step.input)
      return step.fields.some(({ field }) => field === 'redirect_uri') ? redirectUri : null
    }
    case 'remove':
      // a removal names no revision, so it is looked at once more; nothing of its connections is lost by one that is late
      if ((await broker.get(step.id)).revision !== step.revision) {
        throw new CliError('The profile was changed since the plan was made. Make a new plan.')
      }
      await broker.remove(step.id)
      return null
  }
}
