import type { FastifyReply } from 'fastify'
import { html, type SafeHtml } from './html.ts'
import { pageStylesheetPath } from './page-stylesheet.ts'
import { englishTexts, type PageKind, type PageTexts } from './page-texts.ts'
import { setSecurityHeaders, type PageHeaderOptions } from './security-headers.ts'

export type Page = {
  /** Of the browser's tab. */
  readonly title: string
  readonly heading: string
  /** What stands below the heading. */
  readonly body: SafeHtml
  /** BCP 47; English unless said. */
  readonly lang?: string
  readonly dir?: 'ltr' | 'rtl'
}

/** A whole document around `page.body`; it needs no script and loads nothing but the shared stylesheet. */
export function renderPage(page: Page): SafeHtml {
  return html`<!doctype html>
    <html lang="${page.lang ?? 'en'}" dir="${page.dir ?? 'ltr'}">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta name="robots" content="noindex" />
        <title>${page.title}</title>
        <link rel="stylesheet" href="${pageStylesheetPath}" />
      </head>
      <body>
        <main>
          <h1>${page.heading}</h1>
          ${page.body}
        </main>
      </body>
    </html> `
}

export type ProblemPageOptions = {
  /** Shown small, so that a person can quote it to support. */
  readonly requestId?: string
  readonly texts?: PageTexts
}

/** One of the shared pages: what happened and what to do next. `completed` is the good one among them. */
export function problemPage(kind: PageKind, options: ProblemPageOptions = {}): SafeHtml {
  const texts = options.texts ?? englishTexts
  const { title, heading, happened, next } = texts.pages[kind]
  const reference =
    options.requestId === undefined
      ? undefined
      : html`<p class="reference">${texts.reference}: <code>${options.requestId}</code></p>`
  return renderPage({
    title,
    heading,
    lang: texts.lang,
    dir: texts.dir,
    body: html`<p>${happened}</p>
      <p>${next}</p>
      ${reference}`,
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
