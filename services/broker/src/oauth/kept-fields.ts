const longestFieldBytes = 4_096
const deepestLevel = 8
/** Shorter ones are no secrets, and would be found in any text. */
const shortestSecret = 8

/**
 * Whether a field's name says that it holds a token, a secret or another key to the account. Such fields never reach
 * agents, whatever a profile asks for (V5). Both spellings, `refresh_token` and `refreshToken`, are caught.
 */
export function isSecretName(name: string): boolean {
  return (
    /token|secret|passw|credential|assertion|verifier|cookie|jwt|^code$|(^|[_.-])key$/i.test(name) ||
    /[a-z]Key$/.test(name)
  )
}

/**
 * The answer fields that a profile keeps for agents (`keep_token_fields`, `keep_callback_params`): JSON values of at most
 * 4 KiB. Fields named like a secret are left out at every depth, and so is any value in which one of `secrets` appears.
 */
export function pickKeptFields(
  answer: Readonly<Record<string, unknown>>,
  names: readonly string[],
  secrets: readonly string[],
): Readonly<Record<string, unknown>> {
  const kept: [string, unknown][] = []
  for (const name of names) {
    if (!isKeepable(name) || !Object.hasOwn(answer, name)) continue
    const value = withoutSecrets(answer[name], 0)
    const json = JSON.stringify(value)
    if (json === undefined || Buffer.byteLength(json) > longestFieldBytes) continue
    if (secrets.some((secret) => secret.length >= shortestSecret && json.includes(inJson(secret)))) continue
    kept.push([name, JSON.parse(json)])
  }
  return Object.fromEntries(kept)
}

function isKeepable(name: string): boolean {
  return !isSecretName(name) && name !== '__proto__' && name !== 'constructor' && name !== 'prototype'
}

/** A secret as it looks inside a JSON string. */
function inJson(secret: string): string {
  return JSON.stringify(secret).slice(1, -1)
}

/** Some answers nest another token inside (Slack's `authed_user`). */
function withoutSecrets(value: unknown, level: number): unknown {
  if (typeof value !== 'object' || value === null) return value
  if (level === deepestLevel) return undefined
  if (Array.isArray(value)) return value.map((item) => withoutSecrets(item, level + 1) ?? null)
  return Object.fromEntries(
    Object.entries(value)
      .filter(([name]) => isKeepable(name))
      .map(([name, item]) => [name, withoutSecrets(item, level + 1)]),
  )
}
