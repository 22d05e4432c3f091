// The SDK is published without @nexus/contracts, so it has types of its own. Here the compiler compares them.
import {
  type ConnectionCompleted as WireCompleted,
  type ConnectionRequest as WireRequest,
  type ConnectionRequested as WireRequested,
  type Disconnected as WireDisconnected,
  type ReconnectRequest as WireReconnect,
  type checkedConnection,
  type OAuthCredentialPayload,
  type StaticCredentialPayload,
  type strategyType,
  type providerMetadata,
  errorCodes,
} from '@nexus/contracts'
import { readFileSync } from 'node:fs'
import { expect, expectTypeOf, test } from 'vitest'
import { serverErrorCodes } from './errors.ts'
import type {
  CheckedConnection,
  CompletedConnection,
  ConnectionRequest,
  ConnectionRequested,
  Disconnected,
  OAuthCredential,
  StaticCredential,
  Provider,
  ReconnectRequest,
} from './types.ts'
import { version } from './version.ts'
import type { toConnectionBody, toReconnectBody } from './wire.ts'

type Camel<Name> = Name extends `${infer Head}_${infer Tail}` ? `${Head}${Capitalize<Camel<Tail>>}` : Name & string
type CamelKeys<Wire> = Camel<keyof Wire>

test('the closed list of codes is that of the contract', () => {
  expect([...serverErrorCodes].toSorted()).toEqual(errorCodes.toSorted())
})

test('the version is that of the manifest', () => {
  const manifest: unknown = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'))
  expect(manifest).toMatchObject({ version })
})

test('what is asked for is what the contract takes', () => {
  expectTypeOf<ReturnType<typeof toReconnectBody>>().toExtend<WireReconnect>()
  expectTypeOf<CamelKeys<WireReconnect>>().toEqualTypeOf<keyof ReconnectRequest>()
  expectTypeOf<keyof ReturnType<typeof toReconnectBody>>().toEqualTypeOf<keyof WireReconnect>()
  expectTypeOf<ReturnType<typeof toConnectionBody>>().toExtend<WireRequest>()
  expectTypeOf<CamelKeys<WireRequest>>().toEqualTypeOf<keyof ConnectionRequest>()
  expectTypeOf<keyof ReturnType<typeof toConnectionBody>>().toEqualTypeOf<keyof WireRequest>()
})

test('what is answered is what the contract gives', () => {
  expectTypeOf<CamelKeys<WireRequested>>().toEqualTypeOf<keyof ConnectionRequested>()
  expectTypeOf<CamelKeys<WireDisconnected>>().toEqualTypeOf<keyof Disconnected>()
  expectTypeOf<CamelKeys<WireCompleted>>().toEqualTypeOf<keyof CompletedConnection>()
  expectTypeOf<WireDisconnected['revocation']>().toEqualTypeOf<Disconnected['revocation']>()
  type WireChecked = (typeof checkedConnection)['_output']
  expectTypeOf<CamelKeys<WireChecked>>().toEqualTypeOf<keyof CheckedConnection>()
  expectTypeOf<WireChecked['status']>().toEqualTypeOf<CheckedConnection['status']>()
  type WireProvider = (typeof providerMetadata)['_output'][string][string]
  expectTypeOf<CamelKeys<WireProvider>>().toEqualTypeOf<Exclude<keyof Provider, 'name' | 'authType'>>()
})

test('an OAuth token has the fields of the contract', () => {
  type Wire = OAuthCredentialPayload
  expectTypeOf<Wire['credentials']>().toExtend<OAuthCredential['credentials']>()
  expectTypeOf<keyof Wire['credentials']>().toEqualTypeOf<keyof OAuthCredential['credentials']>()
  expectTypeOf<Wire['strategy']>().toEqualTypeOf<{ type: 'oauth2' }>()
})

test('a static credential has the fields and the strategies of the contract', () => {
  expectTypeOf<CamelKeys<StaticCredentialPayload>>().toEqualTypeOf<
    Exclude<keyof StaticCredential, 'accessToken' | 'expiresIn'>
  >()
  expectTypeOf<StaticCredentialPayload['credentials']>().toExtend<StaticCredential['credentials']>()
  expectTypeOf<(typeof strategyType)['_output']>().toEqualTypeOf<
    // another name of `header`, by which no answer calls it
    Exclude<StaticCredential['strategy']['type'], 'api_key'>
  >()
})
