import { readFileSync } from 'node:fs'

/** A request and the signature that AWS's own code gives it. Time and keys are the same for all. */
export type AwsVector = {
  readonly name: string
  /** AWS's test suite for Signature Version 4, or what botocore signs. */
  readonly source: string
  readonly service: string
  readonly region: string
  readonly method: string
  readonly host: string
  /** Of the request line, as the vector has it. */
  readonly target: string
  /** Without `Host` and `X-Amz-Date`. */
  readonly headers: readonly (readonly [name: string, value: string])[]
  readonly body: string
  readonly session_token?: string
  readonly signed_headers: string
  readonly signature: string
}

export const awsVectorKeys = {
  access_key: 'AKIDEXAMPLE',
  secret_key: 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY',
} as const

/** As `X-Amz-Date` has it: 2015-08-30 12:36:00 UTC. */
export const awsVectorTime = '20150830T123600Z'

export const awsVectors: readonly AwsVector[] = readFileSync(new URL('aws-vectors.jsonl', import.meta.url), 'utf8')
  .trimEnd()
  .split('\n')
  .map((line) => ({ headers: [], body: '', ...JSON.parse(line) }))
