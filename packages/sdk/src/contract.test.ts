// The SDK is published without @nexus/contracts, so it has types of its own. Here the compiler compares them.
import {
  type ConnectionRequest as WireRequest,
  type ConnectionRequested as WireRequested,
  type Disconnected as WireDisconnected,
  type ReconnectRequest as WireReconnect,
  type checkedConnection,
  type credentialPayload,
  type providerMetadata,
  errorCodes,
} from '@nexus/contracts'
import { readFileSync } from 'node:fs'
import { expect, expectTypeOf, test } from 'vitest'
import { serverErrorCodes } from './errors.ts'
import type {
  CheckedConnection,
  ConnectionRequest,
  ConnectionRequested,
  Disconnected,
  OAuthCredential,
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
  expectTypeOf<WireDisconnected['revocation']>().toEqualTypeOf<Disconnected['revocation']>()
  type WireChecked = (typeof checkedConnection)['_output']
  expectTypeOf<CamelKeys<WireChecked>>().toEqualTypeOf<keyof CheckedConnection>()
  expectTypeOf<WireChecked['status']>().toEqualTypeOf<CheckedConnection['status']>()
  type WireProvider = (typeof providerMetadata)['_output'][string][string]
  expectTypeOf<CamelKeys<WireProvider>>().toEqualTypeOf<Exclude<keyof Provider, 'name' | 'authType'>>()
})

test('a credential has the fields of the contract', () => {
  type WirePayload = (typeof credentialPayload)['_output']
  expectTypeOf<WirePayload['credentials']>().toExtend<OAuthCredential['credentials']>()
  expectTypeOf<keyof WirePayload['credentials']>().toEqualTypeOf<keyof OAuthCredential['credentials']>()
  expectTypeOf<WirePayload['strategy']>().toExtend<OAuthCredential['strategy']>()
})
