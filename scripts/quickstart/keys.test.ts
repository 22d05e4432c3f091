import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync, chmodSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { loadKeys } from './keys.ts'

const makeDir = (): string => {
  const dir = mkdtempSync(join(tmpdir(), 'nexus-keys-'))
  onTestFinished(() => rmSync(dir, { recursive: true }))
  return dir
}

test('keys are made once, for the eyes of their owner only', () => {
  const dir = makeDir()
  const keys = loadKeys(dir)
  expect(Buffer.from(keys.ENCRYPTION_KEY, 'base64')).toHaveLength(32)
  expect(new Set(Object.values(keys)).size).toBe(5)
  chmodSync(join(dir, 'keys.env'), 0o644)
  expect(loadKeys(dir)).toEqual(keys)
  expect(statSync(join(dir, 'keys.env')).mode & 0o777).toBe(0o600)
})

test('a key that a newer version needs is added; the others, and what else stands there, stay', () => {
  const dir = makeDir()
  writeFileSync(join(dir, 'keys.env'), 'ENCRYPTION_KEY=kept\nMINE=too\n')
  const keys = loadKeys(dir)
  expect(keys.ENCRYPTION_KEY).toBe('kept')
  expect(readFileSync(join(dir, 'keys.env'), 'utf8')).toContain('MINE=too')
  expect(loadKeys(dir)).toEqual(keys)
})

test('a database whose keys are gone is not given new ones', () => {
  const dir = makeDir()
  mkdirSync(join(dir, 'postgres'))
  expect(() => loadKeys(dir)).toThrow(/keys\.env is gone/)
})
