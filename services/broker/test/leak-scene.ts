import { type Step, answers, createBrowser, startScriptedProvider } from '@nexus/testing'
import { capture, readSchema, registerStatic, triedAt } from './capture-scene.ts'
import { setSecondsLeft } from './database-tools.ts'
import { type Answer, type Client, type Keys, isApp, readToken, registerProfile, requestConnection } from './harness.ts'

type Provider = Awaited<ReturnType<typeof startScriptedProvider>>
type Pool = Parameters<typeof setSecondsLeft>[0]

export type Life = {
  /** Every secret that had a part in it, by what it is. */
  readonly secrets: ReadonlyMap<string, string>
  /** Bodies of everything that was answered, but for the tokens that were rightly handed out. */
  readonly answers: readonly string[]
}

const canary = (name: string): string => `canary-${name}-${'Zx9'.repeat(8)}`

/**
 * A whole life with a secret in every place that can hold one: two accounts connected, tokens read and refreshed, and
 * everything going wrong that can.
 */
export async function liveThrough(broker: Client & { readonly keys: Keys }, pool: Pool): Promise<Life> {
  const secrets = new Map<string, string>(Object.entries(broker.keys))
  const clientSecret = canary('client-secret')
  secrets.set('client secret', clientSecret)
  // constant: an answer that is refused must not cost the refresh token, or the life would end there
  const behaviour = { token: { refreshTokens: 'constant' as const } }
  await using provider = await startScriptedProvider({ signingAlg: 'ES256', behaviour })
  const { redirectUri } = await registerProfile(broker, {
    name: 'scripted',
    issuer: provider.issuer,
    client_id: 'nexus',
    client_secret: clientSecret,
    auth_header: 'client_secret_basic',
    id_token_signed_response_alg: 'ES256',
    scopes: ['openid', 'read'],
  })
  provider.addClient({ clientId: 'nexus', clientSecret, redirectUris: [redirectUri] })

  const said: Answer[] = []
  const ids = [await connect(broker, secrets), await connect(broker, secrets)]
  for (const id of ids) {
    await readToken(broker, id)
    await setSecondsLeft(pool, id, -1)
    await readToken(broker, id)
    said.push(await broker.get(`/connections/${id}`))
  }
  said.push(...(await failRefreshes(broker, provider, pool, ids)))
  await failJourneys(broker, provider, secrets)
  said.push(...(await typeSecrets(broker, provider, secrets)))
  said.push(...(await sendSecretsAstray(broker, secrets)))
  said.push(await broker.get('/connections'), await broker.get('/audit?limit=200'), await broker.get('/providers'))
  said.push(await broker.get('/providers/by-name/scripted'), await broker.get('/openapi.json'))
  noteProviderSecrets(provider, secrets)
  return { secrets, answers: said.map(({ text }) => text) }
}

/** A person connects an account; ticket, state, cookie and what follows from them are noted. */
async function connect(broker: Client, secrets: Map<string, string>): Promise<string> {
  const { authUrl, connection_id, state } = await requestConnection(broker)
  secrets.set(`ticket of ${connection_id}`, authUrl.split('/').at(-1) ?? '')
  secrets.set(`request state of ${connection_id}`, state)
  const browser = createBrowser()
  const { trail } = await browser.open(authUrl, { stopAt: isApp })
  for (const { url, location } of trail) {
    for (const name of ['state', 'code', 'nonce', 'code_challenge']) {
      const value = new URL(location ?? url).searchParams.get(name)
      if (value !== null) secrets.set(`${name} of ${connection_id}`, value)
    }
  }
  return connection_id
}

async function failRefreshes(
  broker: Client,
  provider: Provider,
  pool: Pool,
  [id = '', other = '']: readonly string[],
): Promise<readonly Answer[]> {
  const said: Answer[] = []
  const bodies = [
    answers.oauthError('slow_down', { status: 429, description: canary('description') }),
    answers.text(canary('body'), { status: 500 }),
    answers.junk(),
    // a provider that fails for long is left alone, and nothing more would be said
    answers.alter({}),
    answers.alter({ expires_in: canary('expires-in') }),
    answers.alter({ token_type: 'mac' }),
    answers.cutMidway(),
    answers.oauthError('invalid_grant', { description: canary('description') }),
  ]
  const failOnce = async (connectionId: string, step: Step): Promise<void> => {
    await setSecondsLeft(pool, connectionId, -1)
    await pool.query('update tokens set next_attempt_at = null where connection_id = $1', [connectionId])
    provider.next('token', step)
    const answer = await readToken(broker, connectionId)
    // a token that was rightly handed out is no leak
    if (answer.status !== 200) said.push(answer)
  }
  for (const step of bodies) await failOnce(id, step)
  await failOnce(other, answers.oauthError('invalid_client', { status: 401, description: canary('description') }))
  return said
}

async function failJourneys(broker: Client, provider: Provider, secrets: Map<string, string>): Promise<void> {
  const lies: readonly Parameters<Provider['behave']>[0][] = [
    { authorization: { error: 'access_denied', errorDescription: canary('error-description') } },
    { authorization: { error: 'access_denied', iss: `https://${canary('iss')}.example` } },
    { authorization: { state: `${canary('state')}.${canary('mac')}` } },
    { authorization: { code: canary('code') } },
    { idToken: { claims: { nonce: canary('nonce') } } },
    { idToken: { raw: canary('id-token') } },
    { token: { extra: { access_token: null, error: canary('error').toLowerCase() } } },
  ]
  for (const lie of lies) {
    const { authUrl, connection_id } = await requestConnection(broker)
    secrets.set(`ticket of ${connection_id}`, authUrl.split('/').at(-1) ?? '')
    provider.behave(lie)
    await createBrowser().open(authUrl, { stopAt: isApp })
    provider.behave({
      authorization: {
        error: undefined,
        errorDescription: undefined,
        iss: undefined,
        state: undefined,
        code: undefined,
      },
      idToken: {},
      token: { extra: {} },
    })
  }
}

/** People type in secrets that are kept, refused by the provider, not verifiable, or do not fit; a front end sends nonsense. */
async function typeSecrets(
  broker: Client,
  { issuer }: Provider,
  secrets: Map<string, string>,
): Promise<readonly Answer[]> {
  const typed = (name: string): { readonly api_key: string } => {
    secrets.set(`the ${name} that was typed in`, canary(`typed-${name}`))
    return { api_key: canary(`typed-${name}`) }
  }
  const said: Answer[] = []
  const request = async (profile: Readonly<Record<string, unknown>>): Promise<string> => {
    const { name } = await registerStatic(broker, profile)
    const { state, connection_id } = await requestConnection(broker, { provider_name: name })
    secrets.set(`request state of ${connection_id}`, state)
    said.push(await readSchema(broker, state))
    return state
  }
  // in the URL of the trial, too
  const inQuery = { auth_type: 'query_param', params: { param_name: 'key' } }
  const untried = await request(inQuery)
  const away = await request({ ...inQuery, ...triedAt({ url: issuer }, { verify: 'required' }) })
  const closed = await request(triedAt({ url: 'http://127.0.0.1:9' }, { verify: 'required' }))
  // its userinfo endpoint wants a token of its own and answers 401 to anything else
  const refusing = { api_base_url: issuer, user_info_endpoint: `${issuer}/userinfo`, verify: 'required' }
  const refused = await request(refusing)
  const long = canary('typed-long').repeat(2_000)
  secrets.set('the long text that was typed in', canary('typed-long'))
  said.push(
    await capture(broker, untried, { api_key: `${typed('line').api_key}\n` }),
    await capture(broker, untried, { ...typed('extra'), other: canary('typed-extra') }),
    await capture(broker, untried, [canary('typed-extra')]),
    await capture(broker, untried, { api_key: [canary('typed-extra')] }),
    await capture(broker, untried, { api_key: long }),
    await capture(broker, untried, typed('kept')),
    await capture(broker, untried, typed('late')),
    await capture(broker, away, typed('unverifiable')),
    await capture(broker, closed, typed('unreachable')),
    await capture(broker, refused, typed('refused')),
    await capture(broker, `${refused}x`, typed('stray')),
  )
  return said
}

/** Callers put secrets where none belong. */
async function sendSecretsAstray(
  broker: Client & { readonly keys: Keys },
  secrets: Map<string, string>,
): Promise<readonly Answer[]> {
  const secret = canary('astray')
  secrets.set('a secret that went astray', secret)
  const headers = { authorization: `Bearer ${secret}`, cookie: `__Host-nx-1=${secret}`, 'x-nexus-api-key': secret }
  return [
    await broker.get('/connections', { key: secret }),
    await broker.get(`/connections?access_token=${secret}`, { headers }),
    await broker.get(`/connections/${secret}/token`, { headers }),
    await broker.get(`/no/such/route/${secret}?code=${secret}`, { headers }),
    await broker.get(`/auth/callback?code=${secret}&state=${secret}.${secret}`, { key: undefined, headers }),
    await broker.get(`/auth/callback?error=${secret}&error_description=${secret}&state=x`, { key: undefined, headers }),
    await broker.get(`/auth/connect/${secret}`, { key: undefined, headers }),
    await broker.post('/providers', { client_secret: [secret], name: 1 }),
    await broker.post('/auth/consent-spec', { workspace_id: 1, metadata: secret, code: secret }, { headers }),
    await broker.post('/auth/consent-spec', undefined, { headers: { 'content-type': `text/${secret}` } }),
  ]
}

function noteProviderSecrets(provider: Provider, secrets: Map<string, string>): void {
  for (const [n, secret] of provider.secrets().entries()) secrets.set(`number ${n} that the provider issued`, secret)
  for (const [n, { form, headers }] of provider.requestsTo('token').entries()) {
    const verifier = form.get('code_verifier')
    if (verifier !== null) secrets.set(`verifier of token request ${n}`, verifier)
    if (headers.authorization !== undefined) secrets.set('the client’s Basic header', headers.authorization.slice(6))
  }
  // whatever the provider wrote into its answers is its own text, not ours to repeat (P5)
  for (const name of [
    'description',
    'body',
    'expires-in',
    'error-description',
    'iss',
    'state',
    'mac',
    'code',
    'nonce',
  ]) {
    secrets.set(`the provider’s ${name}`, canary(name))
  }
  secrets.set('the provider’s ID token', canary('id-token'))
}

/** Which of the secrets stand in a text: as they are, or in one of the usual encodings. */
export function findLeaks(text: string, secrets: ReadonlyMap<string, string>): readonly string[] {
  return [...secrets].flatMap(([name, secret]) => {
    const bytes = Buffer.from(secret)
    const forms = { plain: secret, url: encodeURIComponent(secret), hex: bytes.toString('hex') }
    const base64 = { base64: trim(bytes.toString('base64')), base64url: trim(bytes.toString('base64url')) }
    return Object.entries({ ...forms, ...base64 })
      .filter(([, form]) => text.includes(form))
      .map(([form]) => `${name} (${form})`)
  })
}

/** Without padding and the last characters, which depend on what follows in a longer text. */
function trim(base64: string): string {
  return base64.replace(/=+$/, '').slice(0, -2)
}
