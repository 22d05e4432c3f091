import type { CredentialField } from '../src/providers/credential-schema.ts'
import type { ConnectRequest } from '../src/connect/page-parts.ts'

/** A required text field called `key`, with what a test says of it. */
export function makeField(more: Partial<CredentialField> = {}): CredentialField {
  return {
    name: 'key',
    type: 'string',
    label: 'Key',
    help: undefined,
    isRequired: true,
    mayBeEmpty: false,
    isSecret: false,
    options: undefined,
    placeholder: undefined,
    initial: undefined,
    minLength: undefined,
    maxLength: undefined,
    minimum: undefined,
    maximum: undefined,
    ...more,
  }
}

export function makeRequest(more: Partial<ConnectRequest> = {}): ConnectRequest {
  return {
    brand: { appName: 'Acme', hasLogo: false },
    providerName: 'stripe',
    providerDescription: undefined,
    action: '/auth/connect/the-ticket',
    state: 'the-state',
    returnUrl: 'https://app.example.com/settings?tab=1',
    ...more,
  }
}

/** Markup with each run of white space as one blank: how a template is broken into lines makes no difference. */
export function squash(markup: string): string {
  return markup.replaceAll(/\s+/g, ' ').replaceAll('> <', '><')
}

/** What would run, or break out of where it stands, were it not escaped. */
export const hostileTexts: readonly string[] = [
  `"><img src=x onerror=alert(1)>`,
  `'><script>alert(1)</script>`,
  '</title></option></select><script>alert(1)</script>',
  '" autofocus onfocus="alert(1)',
  'javascript:alert(1)',
  '&lt;script&gt;alert(1)&lt;/script&gt;',
  '{{constructor.constructor("alert(1)")()}}${alert(1)}',
]
