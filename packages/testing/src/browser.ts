import { sendPlain, type PlainResponse } from './browser-transport.ts'
import { createCookieJar, isSameSite, type CookieJar } from './cookie-jar.ts'
import { formActionAllows } from './form-action-policy.ts'
import { findSelfSubmittingForm, parseForms, type HtmlForm } from './html-forms.ts'

/** One request the browser made. */
export type NavigationStep = {
  readonly method: string
  readonly url: string
  readonly status: number
  /** The absolute URL it was redirected to. */
  readonly location: string | undefined
}

/** Where a navigation ended. */
export type Page = {
  /** The page's URL, or, if the browser stopped before a request, the one it would have gone to. */
  readonly url: URL
  readonly status: number
  readonly headers: Headers
  readonly body: string
  readonly trail: readonly NavigationStep[]
  /** Set if `stopAt` matched: this request was not made. */
  readonly unsent: { readonly method: string; readonly form: URLSearchParams | undefined } | undefined
}

export type BrowserOptions = {
  /** How the demo provider's sign-in page is answered; `undefined` leaves it to the test. Default: Ada allows. */
  readonly person?: { readonly name: string; readonly decision?: 'allow' | 'cancel' } | undefined
  /** Which server answers for an origin, like a proxy that ends TLS: `{'https://nexus.test': 'http://127.0.0.1:8090'}`. */
  readonly hosts?: Readonly<Record<string, string>>
  /** Sent with every request. */
  readonly headers?: Readonly<Record<string, string>>
  readonly now?: () => number
}

export type NavigationOptions = {
  /** Checked before every request but the first: true ends the navigation there. */
  readonly stopAt?: (url: URL) => boolean
}

export type Submission = NavigationOptions & {
  /** The form's id; default: the first form. */
  readonly form?: string
  /** Values to fill in; each must be a field of the form. */
  readonly fields?: Readonly<Record<string, string>>
  /** The value or the text of the button to press. */
  readonly button?: string
}

/** A browser small enough for tests: it keeps cookies, follows redirects, signs in at the demo provider. */
export type Browser = {
  /** Opens a URL as if typed into the address bar, or clicked on the page `from`. */
  readonly open: (url: string | URL, options?: NavigationOptions & { readonly from?: string }) => Promise<Page>
  /** Fills in and submits a form of `page`. */
  readonly submit: (page: Page, submission?: Submission) => Promise<Page>
  readonly jar: CookieJar
}

type Request = {
  readonly method: string
  readonly url: URL
  readonly form: URLSearchParams | undefined
  /** The page whose link or form this is. */
  readonly from: URL | undefined
  readonly isCrossSite: boolean
  readonly origin: string | undefined
  /** The policy of the page whose form was submitted; it binds the redirects too. */
  readonly policy: string | null
}

const mostSteps = 30

/** Creates a browser with an empty cookie jar: two of them are two people. */
export function createBrowser(options: BrowserOptions = {}): Browser {
  const jar = createCookieJar(options.now)
  const navigate = (request: Request, { stopAt }: NavigationOptions): Promise<Page> =>
    run({ jar, stopAt: stopAt ?? (() => false), options: { person: { name: 'Ada' }, ...options } }, request)
  return {
    jar,
    open: (url, opening = {}) => {
      const target = new URL(url)
      const from = opening.from === undefined ? undefined : new URL(opening.from)
      const isCrossSite = from !== undefined && !isSameSite(from, target)
      const rest = { form: undefined, from, isCrossSite, origin: undefined, policy: null }
      return navigate({ method: 'GET', url: target, ...rest }, opening)
    },
    submit: async (page, submission = {}) =>
      navigate(submit(page, chooseForm(page, submission), submission), submission),
  }
}

type Session = {
  readonly jar: CookieJar
  readonly stopAt: (url: URL) => boolean
  readonly options: BrowserOptions
}

async function run(session: Session, first: Request): Promise<Page> {
  const trail: NavigationStep[] = []
  let request = first
  let page: Page | undefined
  for (let step = 0; step < mostSteps; step++) {
    if (page !== undefined && session.stopAt(request.url)) {
      return { ...page, url: request.url, body: '', unsent: { method: request.method, form: request.form } }
    }
    const response = await send(session, request)
    const location = redirectTarget(response, request.url)
    trail.push({ method: request.method, url: request.url.href, status: response.status, location: location?.href })
    page = { url: request.url, ...response, trail, unsent: undefined }
    const next = location === undefined ? actOn(page, session) : follow(request, response.status, location)
    if (next === undefined) return page
    request = next
  }
  throw new Error(`no end after ${mostSteps} steps:\n${trail.map((step) => `${step.method} ${step.url}`).join('\n')}`)
}

async function send({ jar, options }: Session, request: Request): Promise<PlainResponse> {
  if (request.from !== undefined && !formActionAllows(request.policy, request.from, request.url)) {
    throw new Error(`the form-action policy of ${request.from.href} forbids ${request.url.href}`)
  }
  const cookie = jar.header(request.url, request)
  const response = await sendPlain(options.hosts?.[request.url.origin] ?? request.url.origin, {
    method: request.method,
    url: request.url,
    form: request.form,
    headers: {
      accept: 'text/html,application/xhtml+xml;q=0.9,*/*;q=0.8',
      'user-agent': 'nexus-test-browser',
      ...(request.origin === undefined ? {} : { origin: request.origin }),
      ...(cookie === '' ? {} : { cookie }),
      ...options.headers,
    },
  })
  jar.store(request.url, response.headers.getSetCookie())
  return response
}

function redirectTarget({ status, headers }: PlainResponse, base: URL): URL | undefined {
  const location = headers.get('location')
  return status >= 301 && status <= 308 && location !== null ? new URL(location, base) : undefined
}

/** Fetch §4.4: 301 and 302 turn a POST into a GET, 303 anything; 307 and 308 repeat it. */
function follow(request: Request, status: number, url: URL): Request {
  const repeats = status === 307 || status === 308 || request.method === 'GET'
  // once a chain has left the site, it stays a cross-site one
  const isCrossSite = request.isCrossSite || (request.from !== undefined && !isSameSite(request.from, url))
  const foreign = request.origin !== undefined && url.origin !== request.url.origin
  const shared = { ...request, url, isCrossSite }
  if (!repeats) return { ...shared, method: 'GET', form: undefined, origin: undefined }
  return foreign ? { ...shared, origin: 'null' } : shared
}

/** What a page does, or makes its reader do, without being asked. */
function actOn(page: Page, { options: { person } }: Session): Request | undefined {
  const posting = findSelfSubmittingForm(page.body, page.url)
  if (posting !== undefined) return submit(page, posting, {})
  const signIn = parseForms(page.body, page.url).find((form) => form.id === 'demo-sign-in')
  if (signIn === undefined || person === undefined) return undefined
  return submit(page, signIn, { fields: { login: person.name }, button: person.decision ?? 'allow' })
}

function chooseForm(page: Page, { form: id }: Submission): HtmlForm {
  const forms = parseForms(page.body, page.url)
  const form = id === undefined ? forms[0] : forms.find((candidate) => candidate.id === id)
  if (form === undefined) throw new Error(`no form ${id ?? ''} at ${page.url.href}:\n${page.body.slice(0, 1000)}`)
  return form
}

function submit(page: Page, form: HtmlForm, { fields = {}, button }: Submission): Request {
  const filled = new Map(form.fields)
  for (const [name, value] of Object.entries(fields)) {
    if (!filled.has(name)) throw new Error(`the form at ${page.url.href} has no field ${name}`)
    filled.set(name, value)
  }
  const entries = new URLSearchParams([...filled, ...pressedButton(page, form, button)])
  const isCrossSite = !isSameSite(page.url, form.action)
  const policy = page.headers.get('content-security-policy')
  const shared = { from: page.url, isCrossSite, policy }
  if (form.method === 'POST') {
    return { method: 'POST', url: form.action, form: entries, origin: originOf(page), ...shared }
  }
  const url = new URL(form.action)
  url.search = entries.toString()
  return { method: 'GET', url, form: undefined, origin: undefined, ...shared }
}

function pressedButton(page: Page, form: HtmlForm, wanted: string | undefined): [string, string][] {
  if (wanted === undefined) return []
  const button = form.buttons.find(({ value, text }) => value === wanted || text === wanted)
  if (button === undefined) throw new Error(`the form at ${page.url.href} has no button ${wanted}`)
  return button.name === '' ? [] : [[button.name, button.value]]
}

/** Fetch §3.2: a page that sends no referrer does not name itself as origin either. */
function originOf(page: Page): string {
  return page.headers.get('referrer-policy') === 'no-referrer' ? 'null' : page.url.origin
}
