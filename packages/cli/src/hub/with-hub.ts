import type { Command } from 'commander'
import type { Context } from '../context.ts'
import { type HubOptions, type OpenedHub, openHub } from './open-hub.ts'

/** Does some work with the hub that the options name, and lets go of it. */
export async function withHub<Result>(
  { io, services }: Context,
  command: Command,
  work: (opened: OpenedHub) => Promise<Result>,
): Promise<Result> {
  await using opened = await openHub(io, services, command.optsWithGlobals<HubOptions>())
  return await work(opened)
}
