/** Markup that is safe to send: built by `html`, so every foreign value in it has been escaped. */
export type SafeHtml = { readonly [safe]: true; readonly markup: string }

type Interpolated = string | number | SafeHtml | readonly SafeHtml[] | undefined

const safe: unique symbol = Symbol('safe-html')

/**
 * Template tag for HTML: everything interpolated is escaped for text and quoted attributes, unless it is itself
 * `SafeHtml` or a list of it; `undefined` disappears. Write attributes with quotes: an unquoted one cannot be protected.
 */
export function html(strings: TemplateStringsArray, ...values: readonly Interpolated[]): SafeHtml {
  const markup = strings.reduce((text, part, index) => text + toMarkup(values[index - 1]) + part)
  return { [safe]: true, markup }
}

const entities: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
}

export function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => entities[character] ?? '')
}

function toMarkup(value: Interpolated): string {
  if (value === undefined) return ''
  if (typeof value === 'string' || typeof value === 'number') return escapeHtml(String(value))
  if (isSafeHtml(value)) return value.markup
  return value.map((part) => toMarkup(part)).join('')
}

function isSafeHtml(value: SafeHtml | readonly SafeHtml[]): value is SafeHtml {
  return safe in value
}
