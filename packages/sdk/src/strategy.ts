/** What a person gave or granted, by the names the provider's profile gives them: `access_token`, `api_key`, … */
export type CredentialFields = Readonly<Record<string, unknown>>

/** `Authorization: Bearer …` (RFC 6750 §2.1). */
export type OAuth2Strategy = { readonly type: 'oauth2' }

/** One header; `api_key` is another name for the same. */
export type HeaderStrategy = {
  readonly type: 'header' | 'api_key'
  readonly config?: {
    /** `Authorization` */
    readonly header_name?: string
    /** Stands before the value as it is, its space included: `Bearer `. None. */
    readonly value_prefix?: string
    /** `api_key` */
    readonly credential_field?: string
  }
}

export type QueryParamStrategy = {
  readonly type: 'query_param'
  readonly config: {
    readonly param_name: string
    /** `api_key` */
    readonly credential_field?: string
  }
}

/** RFC 7617, in UTF-8. */
export type BasicAuthStrategy = {
  readonly type: 'basic_auth'
  readonly config?: {
    /** `username` */
    readonly username_field?: string
    /** `password` */
    readonly password_field?: string
  }
}

/** A header with the HMAC of the body's bytes (RFC 2104). */
export type HmacPayloadStrategy = {
  readonly type: 'hmac_payload'
  readonly config: {
    readonly header_name: string
    /** `sha256` */
    readonly algorithm?: 'sha1' | 'sha256' | 'sha384' | 'sha512'
    /** `hex` */
    readonly encoding?: 'hex' | 'base64' | 'base64url'
    /** `secret` */
    readonly secret_field?: string
  }
}

/** AWS Signature Version 4, with the credentials `access_key`, `secret_key` and `session_token`. */
export type AwsSigV4Strategy = {
  readonly type: 'aws_sigv4'
  readonly config: {
    /** As it stands in the signature: `s3`, `dynamodb`, `execute-api`, … */
    readonly service: string
    /** `us-east-1` */
    readonly region?: string
  }
}

/** How a static credential goes on a request. What `config` leaves out has the default that is named beside it. */
export type StaticStrategy =
  | HeaderStrategy
  | QueryParamStrategy
  | BasicAuthStrategy
  | HmacPayloadStrategy
  | AwsSigV4Strategy

/** How a credential goes on a request. */
export type Strategy = OAuth2Strategy | StaticStrategy
