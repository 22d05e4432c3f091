import type { CredentialStrategy } from '@nexus/contracts'
import type { CredentialSchema } from './provider.ts'

type Field = Readonly<Record<string, unknown>>

const secret = (title: string, more: Field = {}): Field => ({
  type: 'string',
  title,
  format: 'password',
  minLength: 1,
  maxLength: 4096,
  ...more,
})
const text = (title: string, more: Field = {}): Field => ({
  type: 'string',
  title,
  minLength: 1,
  maxLength: 512,
  ...more,
})

/** What a person is asked for where a profile does not say: one field for each that the strategy reads. */
export function builtInSchema({ type, config }: CredentialStrategy): CredentialSchema {
  switch (type) {
    case 'header':
    case 'query_param':
      return schemaOf({ [config['credential_field'] ?? 'api_key']: secret('API key') })
    case 'hmac_payload':
      return schemaOf({ [config['secret_field'] ?? 'secret']: secret('Signing secret') })
    case 'basic_auth':
      return schemaOf({
        [config['username_field'] ?? 'username']: text('Username'),
        [config['password_field'] ?? 'password']: secret('Password'),
      })
    case 'aws_sigv4':
      return schemaOf(
        {
          access_key: text('Access key ID', { pattern: '^[A-Z0-9]{16,128}$', examples: ['AKIAIOSFODNN7EXAMPLE'] }),
          secret_key: secret('Secret access key'),
          session_token: secret('Session token', { description: 'Only for temporary credentials.', maxLength: 8192 }),
        },
        ['access_key', 'secret_key'],
      )
  }
}

function schemaOf(
  properties: Readonly<Record<string, Field>>,
  required: readonly string[] = Object.keys(properties),
): CredentialSchema {
  return { type: 'object', properties, required }
}
