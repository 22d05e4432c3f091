import type { AdapterFactory, AdapterPayload } from 'oidc-provider'
import type { StateStore } from './state-store.ts'

/** oidc-provider's storage over the demo's store. Nothing is answered before it is saved. */
export function createAdapter(store: StateStore): AdapterFactory {
  return (model) => {
    const keyOf = (id: string): string => `${model}:${id}`
    const find = (id: string): Promise<AdapterPayload | undefined> => Promise.resolve(asPayload(store.get(keyOf(id))))
    return {
      find,
      upsert: (id, payload, seconds) => {
        store.set(keyOf(id), payload, seconds)
        if (model === 'Session' && payload.uid !== undefined) store.set(`SessionUid:${payload.uid}`, id, seconds)
        return store.saved()
      },
      findByUid: async (uid) => {
        const id = store.get(`SessionUid:${uid}`)
        return typeof id === 'string' ? find(id) : undefined
      },
      // device flow is off
      findByUserCode: () => Promise.resolve(undefined),
      consume: async (id) => {
        const payload = await find(id)
        if (payload === undefined) return
        const now = Math.floor(Date.now() / 1000)
        const left = payload.exp === undefined ? undefined : payload.exp - now
        store.set(keyOf(id), { ...payload, consumed: now }, left)
        await store.saved()
      },
      destroy: (id) => {
        store.delete(keyOf(id))
        return store.saved()
      },
      revokeByGrantId: (grantId) => {
        for (const [key, value] of store.entries()) {
          if (key.startsWith(`${model}:`) && asPayload(value)?.grantId === grantId) store.delete(key)
        }
        return store.saved()
      },
    }
  }
}

/** A copy: oidc-provider changes what it is given. */
function asPayload(value: unknown): AdapterPayload | undefined {
  return typeof value === 'object' && value !== null ? { ...value } : undefined
}
