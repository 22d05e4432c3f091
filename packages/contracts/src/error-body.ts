import { z } from 'zod'
import { statusByCode, type ErrorCode } from './errors.ts'

const codes = Object.keys(statusByCode) as [ErrorCode, ...ErrorCode[]]

/** The one form in which every JSON route of both services answers a fault. */
export const errorBody = z
  .object({
    code: z.enum(codes),
    message: z.string(),
    request_id: z.string(),
    details: z.record(z.string(), z.unknown()).optional(),
  })
  .meta({ id: 'Error' })

export type ErrorBody = z.infer<typeof errorBody>
