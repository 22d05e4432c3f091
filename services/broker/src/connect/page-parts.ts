import { type Brand, type PageTexts, type SafeHtml, html } from '@nexus/service'

/** What both pages before a connection know of the request that led to them. */
export type ConnectRequest = {
  readonly brand: Brand
  readonly providerName: string
  readonly providerDescription: string | undefined
  /** Where the form is sent: the path of the connect link. */
  readonly action: string
  /** Signed, of this attempt: with the attempt's cookie it proves that the form was shown to this browser. */
  readonly state: string
  readonly returnUrl: string | undefined
}

/** A foreign name inside a sentence: isolated, so that its direction of writing moves no word around it. */
export function showName(name: string): SafeHtml {
  return html`<strong><bdi>${name}</bdi></strong>`
}

export function showApp({ appName }: Brand, { connect }: PageTexts): SafeHtml {
  return appName === undefined ? html`${connect.unnamedApp}` : showName(appName)
}

/** What the operator says of the provider. */
export function showDescription({ providerDescription }: ConnectRequest): SafeHtml | undefined {
  return providerDescription === undefined ? undefined : html`<p class="lead"><bdi>${providerDescription}</bdi></p>`
}

/** Where the person ends, and what to do if somebody else began. */
export function showEnding({ returnUrl }: ConnectRequest, { connect }: PageTexts): SafeHtml {
  // the host as the URL standard writes it: a name in letters that look like others shows as xn--…
  const ending =
    returnUrl === undefined ? html`${connect.returnsNowhere}` : connect.returnsTo(showName(new URL(returnUrl).host))
  return html`<p class="ending">${ending} ${connect.notYou}</p>`
}
