import { isIP, isIPv4 } from 'node:net'
import { z } from 'zod'
import { parseCidrs } from './cidrs.ts'
import type { Cidrs } from './cidrs.ts'

// Every builder makes a required field unless it takes a default; add `.optional()` for `T | undefined`.
// All messages are our own and none repeats what was entered.

/** Text as it stands, such as a path. */
export function text() {
  return z.string({ error: 'is required' })
}

/** A TCP port, 0 (any free one) to 65535. */
export function port(defaultPort: number) {
  return wholeNumber(0, 65_535).default(defaultPort)
}

/** A whole number from `min` (1) to `max` (2³¹ − 1, what a timer and a PostgreSQL integer can hold). */
export function positiveInteger(defaultValue: number, { min = 1, max = 2_147_483_647 }: IntegerRange = {}) {
  return wholeNumber(min, max).default(defaultValue)
}

type IntegerRange = { readonly min?: number; readonly max?: number }

function wholeNumber(min: number, max: number) {
  const message = `must be a whole number from ${min} to ${max}`
  return text()
    .regex(/^\d{1,10}$/, message)
    .transform(Number)
    .refine((value) => value >= min && value <= max, message)
}

/** `true` or `false`, also `1` or `0`. */
export function booleanFlag(defaultValue: boolean) {
  return text()
    .regex(/^(true|false|1|0)$/i, 'must be true or false')
    .transform((value) => /^(true|1)$/i.test(value))
    .default(defaultValue)
}

/** An address to listen on: an IP address without brackets, or a host name. */
export function host(defaultHost: string) {
  const hostName = /^(?=.{1,253}$)[a-z\d]([a-z\d-]*[a-z\d])?(\.[a-z\d]([a-z\d-]*[a-z\d])?)*$/i
  return text()
    .refine((value) => isIP(value) !== 0 || hostName.test(value), 'must be an IP address or a host name')
    .default(defaultHost)
}

/** Comma-separated items, trimmed; empty ones are dropped. Unset: no items. */
export function commaList() {
  return text().transform(splitAtCommas).pipe(z.array(z.string()).readonly()).default([])
}

/** The items of a comma-separated text, trimmed, without empty ones. */
export function splitAtCommas(list: string): readonly string[] {
  return list
    .split(',')
    .map((item) => item.trim())
    .filter((item) => item !== '')
}

/** Comma-separated CIDR blocks and single addresses. Unset: the blocks of `defaultList`, none if that is empty. */
export function cidrList(defaultList = '') {
  return text()
    .transform(toCidrs)
    .default(() => parseCidrs(defaultList))
}

function toCidrs(value: string, context: z.RefinementCtx): Cidrs {
  try {
    return parseCidrs(value)
  } catch (error) {
    context.addIssue(error instanceof RangeError ? error.message : 'is not a list of CIDR blocks')
    return z.NEVER
  }
}

/** An `http` or `https` URL without user name, query and fragment. Comes out normalised, without a trailing slash. */
export function httpUrl() {
  return text()
    .refine((value) => isPlainHttpUrl(value), 'must be an http or https URL without user name, query and fragment')
    .transform((value) => new URL(value).href.replace(/\/+$/, ''))
}

/** An origin (`https://nexus.example.com`), for browsers: `http` only on loopback. Comes out as browsers write it. */
export function httpOrigin() {
  return text()
    .refine(
      (value) => isPlainHttpUrl(value) && new URL(value).pathname === '/',
      'must be an origin: scheme, host, port',
    )
    .transform((value) => new URL(value))
    .refine((url) => url.protocol === 'https:' || isLoopback(url.hostname), 'must be https unless it is on loopback')
    .transform((url) => url.origin)
}

/** Comma-separated origins, each as for `httpOrigin`. Unset: none. */
export function originList() {
  return text().transform(splitAtCommas).pipe(z.array(httpOrigin()).readonly()).default([])
}

function isPlainHttpUrl(value: string): boolean {
  // Characters first: URL parsing forgives white space, backslashes and missing slashes, and forgets an empty query.
  return /^https?:\/\/[^/]/i.test(value) && !/[\s\\?#@]|\p{Cc}/u.test(value) && URL.canParse(value)
}

function isLoopback(hostname: string): boolean {
  return (
    hostname === 'localhost' ||
    hostname.endsWith('.localhost') ||
    hostname === '[::1]' ||
    (isIPv4(hostname) && hostname.startsWith('127.'))
  )
}

/** Log level, from `trace` to `silent`. Default: `info`. */
export function logLevel() {
  return oneOf(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent']).default('info')
}

/** `NODE_ENV`. Default: `development`. */
export const nodeEnv = oneOf(['development', 'production', 'test']).default('development')

/** One of a few words, in any case. */
function oneOf<const T extends string>(choices: readonly T[]) {
  return text()
    .toLowerCase()
    .pipe(z.enum(choices, { error: `must be one of ${choices.join(', ')}` }))
}
