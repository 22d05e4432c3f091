/** A form of a page, as far as a test needs to fill it in. */
export type HtmlForm = {
  readonly id: string | undefined
  readonly method: 'GET' | 'POST'
  readonly action: URL
  /** The names and present values of its fields, buttons not included. */
  readonly fields: ReadonlyMap<string, string>
  readonly buttons: readonly { readonly name: string; readonly value: string; readonly text: string }[]
}

type Attributes = ReadonlyMap<string, string>

/** Reads the forms of our own and the test providers' pages. Not a general HTML parser, and it need not be one. */
export function parseForms(html: string, pageUrl: URL): readonly HtmlForm[] {
  const markup = html.replaceAll(/<!--[\s\S]*?-->|<script\b[\s\S]*?<\/script>/gi, '')
  return [...markup.matchAll(/<form\b([^>]*)>([\s\S]*?)<\/form>/gi)].map(([, head = '', content = '']) => {
    const attributes = parseAttributes(head)
    return {
      id: attributes.get('id'),
      method: attributes.get('method')?.toLowerCase() === 'post' ? 'POST' : 'GET',
      action: new URL(attributes.get('action') ?? '', pageUrl),
      fields: new Map([...readInputs(content), ...readTextareas(content), ...readSelects(content)]),
      buttons: readButtons(content),
    }
  })
}

/** A page that submits itself: the form_post response mode (OAuth 2.0 Form Post Response Mode §2). */
export function findSelfSubmittingForm(html: string, pageUrl: URL): HtmlForm | undefined {
  return /\.submit\(\)/.test(html) ? parseForms(html, pageUrl).find((form) => form.method === 'POST') : undefined
}

function parseAttributes(text: string): Attributes {
  return new Map(
    [...text.matchAll(/([^\s=/>"']+)(?:\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s>]+)))?/g)].map(
      ([, name = '', double, single, bare]) => [name.toLowerCase(), decodeEntities(double ?? single ?? bare ?? '')],
    ),
  )
}

function readInputs(content: string): [string, string][] {
  return [...content.matchAll(/<input\b([^>]*)>/gi)].flatMap(([, head = '']) => {
    const attributes = parseAttributes(head)
    const name = attributes.get('name')
    const type = attributes.get('type') ?? 'text'
    if (name === undefined || /^(submit|button|reset|image)$/.test(type)) return []
    if (/^(checkbox|radio)$/.test(type)) {
      return attributes.has('checked') ? [[name, attributes.get('value') ?? 'on']] : []
    }
    return [[name, attributes.get('value') ?? '']]
  })
}

function readTextareas(content: string): [string, string][] {
  return [...content.matchAll(/<textarea\b([^>]*)>([\s\S]*?)<\/textarea>/gi)].flatMap(([, head = '', text = '']) => {
    const name = parseAttributes(head).get('name')
    return name === undefined ? [] : [[name, decodeEntities(text)]]
  })
}

function readSelects(content: string): [string, string][] {
  return [...content.matchAll(/<select\b([^>]*)>([\s\S]*?)<\/select>/gi)].flatMap(([, head = '', options = '']) => {
    const name = parseAttributes(head).get('name')
    const choices = [...options.matchAll(/<option\b([^>]*)>/gi)].map(([, option = '']) => parseAttributes(option))
    const chosen = choices.find((choice) => choice.has('selected')) ?? choices[0]
    return name === undefined || chosen === undefined ? [] : [[name, chosen.get('value') ?? '']]
  })
}

function readButtons(content: string): HtmlForm['buttons'] {
  return [...content.matchAll(/<button\b([^>]*)>([\s\S]*?)<\/button>/gi)].map(([, head = '', text = '']) => {
    const attributes = parseAttributes(head)
    const plain = decodeEntities(text.replaceAll(/<[^>]*>/g, '')).trim()
    return { name: attributes.get('name') ?? '', value: attributes.get('value') ?? '', text: plain }
  })
}

const named: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'", nbsp: '\u00a0' }

function decodeEntities(text: string): string {
  return text.replaceAll(/&(?:#(\d+)|#x([\da-f]+)|(\w+));/gi, (whole, decimal, hex, name) => {
    if (decimal !== undefined) return String.fromCodePoint(Number(decimal))
    if (hex !== undefined) return String.fromCodePoint(Number.parseInt(String(hex), 16))
    return named[String(name)] ?? whole
  })
}
