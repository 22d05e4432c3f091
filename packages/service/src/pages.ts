import type { FastifyReply } from 'fastify'
import { html, type SafeHtml } from './html.ts'
import { brandStylesheetPath, logoPath, pageScriptPath, pageStylesheetPath } from './page-assets.ts'
import { englishTexts, type PageKind, type PageTexts } from './page-texts.ts'
import { setSecurityHeaders, type PageHeaderOptions } from './security-headers.ts'

/** Whose page it looks like. */
export type Brand = {
  readonly appName: string | undefined
  /** True where `logoPath` has an image to show. */
  readonly hasLogo: boolean
}

export type Page = {
  /** Of the browser's tab. */
  readonly title: string
  readonly heading: string
  /** What stands below the heading. */
  readonly body: SafeHtml
  readonly brand?: Brand | undefined
  /** Shows at a glance that all went well. */
  readonly isGood?: boolean
  /** BCP 47; English unless said. */
  readonly lang?: string
  readonly dir?: 'ltr' | 'rtl'
}

/** A whole document around `page.body`; it needs no script, and what it loads comes from its own origin. */
export function renderPage(page: Page): SafeHtml {
  return html`<!doctype html>
    <html lang="${page.lang ?? 'en'}" dir="${page.dir ?? 'ltr'}">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta name="color-scheme" content="light dark" />
        <meta name="robots" content="noindex" />
        <title>${page.title}</title>
        <link rel="stylesheet" href="${pageStylesheetPath}" />
        <link rel="stylesheet" href="${brandStylesheetPath}" />
        <script src="${pageScriptPath}" defer></script>
      </head>
      <body>
        <main>
          ${renderBrand(page.brand)} ${page.isGood === true ? tick : undefined}
          <h1>${page.heading}</h1>
          ${page.body}
        </main>
      </body>
    </html> `
}

const tick = html`<svg class="done" viewBox="0 0 24 24" aria-hidden="true">
  <circle cx="12" cy="12" r="11" />
  <path d="M7 12.5l3.5 3.5L17 9" />
</svg>`

function renderBrand({ appName, hasLogo }: Brand = { appName: undefined, hasLogo: false }): SafeHtml | undefined {
  if (hasLogo) return html`<p class="brand"><img src="${logoPath}" alt="${appName}" /></p>`
  return appName === undefined ? undefined : html`<p class="brand"><bdi>${appName}</bdi></p>`
}

export type ProblemPageOptions = {
  /** Shown small, so that a person can quote it to support. */
  readonly requestId?: string
  readonly texts?: PageTexts
  readonly brand?: Brand | undefined
  /** The connect link, where it is still in hand. */
  readonly openAgain?: string | undefined
}

/** One of the shared pages: what happened and what to do next. `completed` is the good one among them. */
export function problemPage(kind: PageKind, options: ProblemPageOptions = {}): SafeHtml {
  const texts = options.texts ?? englishTexts
  const { title, heading, happened, next, nextWithLink = next } = texts.pages[kind]
  const reference =
    options.requestId === undefined
      ? undefined
      : html`<p class="reference">${texts.reference}: <code>${options.requestId}</code></p>`
  const whatNext =
    options.openAgain === undefined
      ? html`<p>${next}</p>`
      : html`<p>${nextWithLink}</p>
          <p><a class="button" href="${options.openAgain}">${texts.connect.openAgain}</a></p>`
  return renderPage({
    title,
    heading,
    brand: options.brand,
    isGood: kind === 'completed',
    lang: texts.lang,
    dir: texts.dir,
    body: html`<p>${happened}</p>
      ${whatNext} ${reference}`,
  })
}

/** Sends a page with the headers of H9. `options.formAction` widens where its forms may lead. */
export function sendPage(
  reply: FastifyReply,
  status: number,
  page: SafeHtml,
  options: PageHeaderOptions = {},
): FastifyReply {
  setSecurityHeaders(reply, options)
  return reply.code(status).type('text/html; charset=utf-8').send(page.markup)
}
