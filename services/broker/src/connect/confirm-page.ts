import { type PageTexts, type SafeHtml, html, renderPage } from '@nexus/service'
import { type ConnectRequest, showApp, showDescription, showEnding, showName } from './page-parts.ts'

export type ConfirmModel = ConnectRequest & { readonly scopes: readonly string[] }

/**
 * Stands before the sign-in at the provider: who asks for what, and where it ends. Whoever was sent a link by somebody
 * else sees it here, before the provider's own page, which knows only us.
 */
export function confirmPage(model: ConfirmModel, texts: PageTexts): SafeHtml {
  const { connect, form } = texts
  const provider = showName(model.providerName)
  const app = showApp(model.brand, texts)
  const asks =
    model.scopes.length === 0
      ? html`<p>${connect.asks(app, provider)}</p>`
      : html`<p id="asks">${connect.asksFor(app, provider)}</p>
          <ul class="scopes" aria-labelledby="asks">
            ${model.scopes.map((scope) => showScope(scope, texts))}
          </ul>`
  return renderPage({
    title: connect.connect(model.providerName),
    heading: connect.connect(model.providerName),
    brand: model.brand,
    lang: texts.lang,
    dir: texts.dir,
    body: html`${showDescription(model)} ${asks}
      <p>${connect.signInNext(provider)}</p>
      <form method="post" action="${model.action}">
        <input type="hidden" name="state" value="${model.state}" />
        <button data-sending="${form.submitting}">${connect.continueTo(html`<bdi>${model.providerName}</bdi>`)}</button>
      </form>
      ${showEnding(model, texts)}`,
  })
}

/** A scope of a standard by its meaning, any other as it is: words made up for it could promise too much. */
function showScope(scope: string, { connect }: PageTexts): SafeHtml {
  const meaning = Object.hasOwn(connect.scopes, scope) ? connect.scopes[scope] : undefined
  const code = html`<code dir="ltr">${scope}</code>`
  return meaning === undefined ? html`<li>${code}</li>` : html`<li>${meaning} ${code}</li>`
}
