import { z } from 'zod'

export const alive = z.object({ status: z.literal('ok') })

/** A part is `ok`, `away` (the service works without it, or not, as its page says) or `n/a` (not configured). */
export const partHealth = z.string()

export const readiness = z.object({ status: z.enum(['ready', 'not_ready', 'draining']) }).catchall(partHealth)
