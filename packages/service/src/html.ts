import { html as render, raw } from 'hono/html'

/** Markup that is safe to send: built by `html`, so every foreign value in it has been escaped. */
export type SafeHtml = { readonly [safe]: true; readonly markup: string }

export type Interpolated = string | number | SafeHtml | readonly SafeHtml[] | undefined

const safe: unique symbol = Symbol('safe-html')

/**
 * Template tag for HTML: everything interpolated is escaped for text and quoted attributes, unless it is itself
 * `SafeHtml` or a list of it; `undefined` disappears. Write attributes with quotes: an unquoted one cannot be protected.
 *
 * hono's tag does the escaping. It passes on whatever bears a property `isEscaped` and waits for promises; here nothing
 * passes that this function did not make, so markup cannot be smuggled in from JSON.
 * @throws TypeError for a value of any other type
 */
export function html(strings: TemplateStringsArray, ...values: readonly Interpolated[]): SafeHtml {
  const rendered = render(strings, ...values.map(admit))
  if (rendered instanceof Promise) throw new TypeError('a page waits for nothing')
  return { [safe]: true, markup: rendered.toString() }
}

/**
 * Template tag for sentences with names in them: their words are plain text, escaped like the names; only a name that is
 * `SafeHtml` keeps its markup.
 */
export function words(strings: TemplateStringsArray, ...names: readonly (string | number | SafeHtml)[]): SafeHtml {
  return html`${strings.map((text, index) => html`${names[index - 1]}${text}`)}`
}

function admit(value: Interpolated): unknown {
  if (value === undefined || typeof value === 'string' || typeof value === 'number') return value
  if (isSafeHtml(value)) return raw(value.markup)
  if (!Array.isArray(value)) throw new TypeError('only text and markup made by html can stand in a page')
  return value.map(admit)
}

function isSafeHtml(value: SafeHtml | readonly SafeHtml[]): value is SafeHtml {
  return safe in value
}
