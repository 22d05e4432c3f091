import type { CredentialPayload, StaticCredentialPayload } from '@nexus/contracts'

/**
 * The payload's schema names its fields and so drops a refresh token beside them, but `extra` holds whatever a profile
 * keeps of a provider's answer: there, names that can only mean a master secret are dropped at any depth (V5).
 */
export function withoutMasterSecrets(payload: CredentialPayload): CredentialPayload {
  if (isStatic(payload)) return payload
  const { extra, credentials } = payload
  if (extra === undefined && credentials.extra === undefined) return payload
  return {
    ...payload,
    ...(extra === undefined ? {} : { extra: cleanObject(extra) }),
    credentials: {
      ...credentials,
      ...(credentials.extra === undefined ? {} : { extra: cleanObject(credentials.extra) }),
    },
  }
}

/** The fields of what was typed in are those of its profile, which names none like a master secret. */
function isStatic(payload: CredentialPayload): payload is StaticCredentialPayload {
  return payload.strategy.type !== 'oauth2'
}

const masterSecretName = /refresh[_-]?token|client[_-]?secret/i

function cleanObject(value: object): Record<string, unknown> {
  const kept = Object.entries(value).filter(([name]) => !masterSecretName.test(name))
  return Object.fromEntries(kept.map(([name, inner]) => [name, cleanValue(inner)]))
}

function cleanValue(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(cleanValue)
  return typeof value === 'object' && value !== null ? cleanObject(value) : value
}
