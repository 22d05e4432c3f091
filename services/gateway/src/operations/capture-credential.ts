import {
  type CaptureCredential,
  type CaptureSchema,
  type CredentialCaptured,
  captureSchema,
  credentialCaptured,
} from '@nexus/contracts'
import type { BrokerClient } from '../broker/broker-client.ts'
import type { Caller } from './caller.ts'
import { type VerifyState, assertSigned } from './check-state.ts'

export type CaptureDeps = {
  readonly broker: Pick<BrokerClient, 'call'>
  readonly verifyState: VerifyState
}

/** What a form of the app's own asks for. @throws AppError `invalid_state`; those of the Broker */
export async function readCaptureSchema(
  { broker, verifyState }: CaptureDeps,
  state: string,
  caller: Caller,
): Promise<CaptureSchema> {
  assertSigned(verifyState, state)
  const path = `/auth/capture-schema?${new URLSearchParams({ state }).toString()}`
  return broker.call({ method: 'GET', path, as: 'anybody', answer: captureSchema }, caller)
}

/**
 * Hands in what a person typed into such a form. The provider may be asked whether it accepts it.
 * @throws AppError `invalid_state`, `invalid_credentials`; others of the Broker
 */
export async function captureCredential(
  { broker, verifyState }: CaptureDeps,
  body: CaptureCredential,
  caller: Caller,
): Promise<CredentialCaptured> {
  assertSigned(verifyState, body.state)
  return broker.call(
    {
      method: 'POST',
      path: '/auth/capture-credential',
      body,
      as: 'anybody',
      patience: 'long',
      answer: credentialCaptured,
    },
    caller,
  )
}
