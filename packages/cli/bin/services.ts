import type { CliServices } from '../src/index.ts'

/** What this program brings to its commands. */
export const services: CliServices = {
  // the Broker is loaded by those commands alone that work on its database
  openLocalHub: async (env) => (await import('@nexus/broker/local-hub')).openLocalHub(env),
}
