import { type FormTexts, type PageTexts, type SafeHtml, html, renderPage } from '@nexus/service'
import type { CredentialFault, CredentialField } from '../providers/credential-schema.ts'
import { describeFault } from './describe-fault.ts'
import { drawField, fieldId } from './field-view.ts'
import { type ConnectRequest, showApp, showDescription, showEnding, showName } from './page-parts.ts'

export type CredentialFormModel = ConnectRequest & {
  readonly fields: readonly CredentialField[]
  /** Why it is shown once more; undefined on its first showing. */
  readonly refusal?: FormRefusal | undefined
}

export type FormRefusal =
  | { readonly kind: 'faults'; readonly faults: readonly CredentialFault[] }
  /** The provider was asked and knows nobody with these credentials, or must be asked and could not. */
  | { readonly kind: 'not_accepted' | 'not_verifiable' }

/** The page on which a person enters the credentials of an account. */
export function credentialFormPage(model: CredentialFormModel, texts: PageTexts): SafeHtml {
  const { brand, providerName, refusal } = model
  const provider = showName(providerName)
  const app = showApp(brand, texts)
  const title = texts.connect.connect(providerName)
  return renderPage({
    title: refusal === undefined ? title : texts.form.refusedTitle(title),
    heading: title,
    brand,
    lang: texts.lang,
    dir: texts.dir,
    body: html`${showDescription(model)} ${refusal === undefined ? undefined : refusalSummary(model, refusal, texts)}
      <p>${texts.connect.asks(app, provider)} ${texts.connect.usesEntered(provider)} ${texts.connect.keepsEncrypted}</p>
      <form method="post" action="${model.action}" autocomplete="off">
        <input type="hidden" name="state" value="${model.state}" />
        ${drawFields(model, texts)}
        <button data-sending="${texts.form.submitting}">${texts.form.submit}</button>
      </form>
      ${showEnding(model, texts)}`,
  })
}

function drawFields({ fields, refusal }: CredentialFormModel, { form }: PageTexts): readonly SafeHtml[] {
  const faults = refusal?.kind === 'faults' ? refusal.faults : []
  return fields.map((field) => {
    const fault = faults.find((candidate) => candidate.field === field.name)
    return drawField(field, fault && describeFault(fault, field, form.faults), form)
  })
}

/**
 * Stands above the form and takes the focus, so that nobody sends it twice for want of having seen what was wrong; the
 * attribute does that without the script, the script where a browser does not know it there.
 */
function refusalSummary(model: CredentialFormModel, refusal: FormRefusal, texts: PageTexts): SafeHtml {
  return html`<div class="problems" role="alert" aria-labelledby="problems" tabindex="-1" autofocus data-focus>
    <h2 id="problems">${texts.form.refusedHeading}</h2>
    ${explain(model, refusal, texts)}
  </div>`
}

function explain({ providerName, fields }: CredentialFormModel, refusal: FormRefusal, { form }: PageTexts): SafeHtml {
  const provider = showName(providerName)
  switch (refusal.kind) {
    case 'not_accepted':
      return html`<p>${form.notAccepted(provider)}</p>`
    case 'not_verifiable':
      return html`<p>${form.notVerifiable(provider)}</p>
        <p>${form.enterAgain}</p>`
    case 'faults':
      return html`<ul>
          ${listFaults(fields, refusal.faults, form)}
        </ul>
        <p>${form.enterAgain}</p>`
  }
}

/** One line per field: what else is wrong with it shows when the first is mended. */
function listFaults(
  fields: readonly CredentialField[],
  faults: readonly CredentialFault[],
  { faults: texts }: FormTexts,
): readonly SafeHtml[] {
  const firstOfEach = faults.filter(
    (fault, index) => faults.findIndex((candidate) => candidate.field === fault.field) === index,
  )
  return firstOfEach.map((fault) => {
    const field = fields.find(({ name }) => name === fault.field)
    const words = describeFault(fault, field, texts)
    if (field !== undefined)
      return html`<li>
        <a href="#${fieldId(field)}"><bdi>${field.label}</bdi>: ${words}</a>
      </li>`
    return fault.field === undefined ? html`<li>${words}</li>` : html`<li><bdi>${fault.field}</bdi>: ${words}</li>`
  })
}
