import { type FormTexts, type SafeHtml, html } from '@nexus/service'
import type { CredentialField } from '../providers/credential-schema.ts'

/** Of the input, as links and labels name it. */
export function fieldId({ name }: Pick<CredentialField, 'name'>): string {
  return `field-${name}`
}

/** The name under which a form sends a field. */
export function inputName({ name }: Pick<CredentialField, 'name'>): string {
  return `credentials[${name}]`
}

/**
 * Draws a field: label, help, what is wrong with it, and the input that fits its type. Nothing that was typed before is
 * drawn: credentials travel to the Broker and never back.
 */
export function drawField(field: CredentialField, fault: string | undefined, texts: FormTexts): SafeHtml {
  const id = fieldId(field)
  const help = field.help === undefined ? undefined : html`<p class="hint" id="${id}-help"><bdi>${field.help}</bdi></p>`
  const problem = fault === undefined ? undefined : html`<p class="problem" id="${id}-fault">${fault}</p>`
  // a box may always be left alone
  const mark =
    mustBeFilledIn(field) || isCheckbox(field) ? undefined : html` <span class="mark">(${texts.optional})</span>`
  const label = html`<label for="${id}"><bdi>${field.label}</bdi>${mark}</label>`
  const input = drawInput(field, describe(field, fault), texts)
  return isCheckbox(field)
    ? html`<div class="field">
        ${problem}
        <div class="choice">${input} ${label}</div>
        ${help}
      </div>`
    : html`<div class="field">${label} ${help} ${problem} ${input}</div>`
}

/** The attributes that every input has, and those by which its help and its fault are read out with it. */
function describe(field: CredentialField, fault: string | undefined): SafeHtml {
  const id = fieldId(field)
  const readOut = [...(field.help === undefined ? [] : [`${id}-help`]), ...(fault === undefined ? [] : [`${id}-fault`])]
  const parts = [
    html`id="${id}" name="${inputName(field)}"`,
    // a box that is not ticked is an answer too
    ...(mustBeFilledIn(field) && !isCheckbox(field) ? [html` required`] : []),
    ...(readOut.length === 0 ? [] : [html` aria-describedby="${readOut.join(' ')}"`]),
    ...(fault === undefined ? [] : [html` aria-invalid="true"`]),
  ]
  return html`${parts}`
}

function drawInput(field: CredentialField, attributes: SafeHtml, texts: FormTexts): SafeHtml {
  if (field.options !== undefined) return drawChoice(field, field.options, attributes, texts)
  if (isCheckbox(field)) {
    const checked = field.initial === true ? html`checked` : undefined
    return html`<input type="checkbox" value="true" ${attributes} ${checked} />`
  }
  if (field.type === 'number' || field.type === 'integer') return drawNumber(field, attributes)
  return field.isSecret ? drawSecret(field, attributes, texts) : drawText(field, attributes)
}

function mustBeFilledIn({ isRequired, mayBeEmpty }: CredentialField): boolean {
  return isRequired && !mayBeEmpty
}

function isCheckbox({ type, options }: CredentialField): boolean {
  return type === 'boolean' && options === undefined
}

function drawChoice(
  field: CredentialField,
  options: NonNullable<CredentialField['options']>,
  attributes: SafeHtml,
  texts: FormTexts,
): SafeHtml {
  const drawn = options.map(({ value, label }) => {
    const selected = value === field.initial ? html` selected` : undefined
    return html`<option value="${String(value)}" ${selected}>${label}</option>`
  })
  const none = html`<option value="">${field.isRequired ? texts.chooseOne : texts.chooseNone}</option>`
  return html`<select ${attributes}>
    ${none} ${drawn}
  </select>`
}

function drawNumber(field: CredentialField, attributes: SafeHtml): SafeHtml {
  const isInteger = field.type === 'integer'
  return html`<input
    type="number"
    inputmode="${isInteger ? 'numeric' : 'decimal'}"
    step="${isInteger ? '1' : 'any'}"
    autocomplete="off"
    dir="ltr"
    ${attributes}
    ${attribute('min', field.minimum)}
    ${attribute('max', field.maximum)}
    ${attribute('placeholder', field.placeholder)}
    ${attribute('value', initialText(field))}
  />`
}

function drawText(field: CredentialField, attributes: SafeHtml): SafeHtml {
  const value = field.isSecret ? undefined : attribute('value', initialText(field))
  // No maxlength: browsers cut what is pasted without a word, and half a key is worse than a fault that says so.
  return html`<input
    type="${field.isSecret ? 'password' : 'text'}"
    autocomplete="off"
    autocapitalize="none"
    autocorrect="off"
    spellcheck="false"
    dir="ltr"
    ${attributes}
    ${attribute('minlength', field.minLength)}
    ${attribute('placeholder', field.placeholder)}
    ${value}
  />`
}

/** The button is of use only to the script, which shows it. */
function drawSecret(field: CredentialField, attributes: SafeHtml, texts: FormTexts): SafeHtml {
  const id = fieldId(field)
  return html`<div class="secret">
    ${drawText(field, attributes)}
    <button
      type="button"
      class="quiet"
      hidden
      aria-controls="${id}"
      aria-label="${texts.showField(field.label)}"
      data-reveals="${id}"
      data-show="${texts.show}"
      data-show-label="${texts.showField(field.label)}"
      data-hide="${texts.hide}"
      data-hide-label="${texts.hideField(field.label)}"
    >
      ${texts.show}
    </button>
  </div>`
}

function attribute(name: string, value: string | number | undefined): SafeHtml | undefined {
  return value === undefined ? undefined : html`${name}="${value}"`
}

function initialText({ initial }: CredentialField): string | undefined {
  return initial === undefined ? undefined : String(initial)
}
