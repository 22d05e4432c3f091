import { z } from 'zod'
import { errorCodes } from './errors.ts'

/** The one form in which every JSON route of both services answers a fault. */
export const errorBody = z
  .object({
    code: z.enum(errorCodes),
    message: z.string(),
    request_id: z.string(),
    details: z.record(z.string(), z.unknown()).optional(),
  })
  .meta({ id: 'Error' })

export type ErrorBody = z.infer<typeof errorBody>
