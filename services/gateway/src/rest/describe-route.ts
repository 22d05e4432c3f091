import { errorBody } from '@nexus/contracts'
import type { z } from 'zod'

/** What the OpenAPI document says of an agent's route. */
export function describeRoute<const R extends Readonly<Record<200, z.ZodType>>>(summary: string, answers: R) {
  return {
    summary,
    tags: ['agents'],
    security: [{ agentToken: [] }, { agentKey: [] }],
    response: { ...answers, default: errorBody },
  }
}
