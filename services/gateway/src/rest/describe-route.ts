import { errorBody } from '@nexus/contracts'
import type { z } from 'zod'

type Answers = Readonly<Record<200, z.ZodType>> | Readonly<Record<201, z.ZodType>>

/** What the OpenAPI document says of an agent's route. */
export function describeRoute<const R extends Answers>(summary: string, answers: R, tag: 'agents' | 'hub' = 'agents') {
  return {
    summary,
    tags: [tag],
    security: [{ agentToken: [] }, { agentKey: [] }],
    response: { ...answers, default: errorBody },
  }
}

/** Whom an agent's route is open to, and what it is counted and recorded as. */
export function forAgents<const Operation extends string>(operation: Operation) {
  return { openTo: 'agents', operation } as const
}
