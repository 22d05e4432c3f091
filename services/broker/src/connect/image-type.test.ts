import { expect, test } from 'vitest'
import { detectImageType } from './image-type.ts'

const png = Buffer.from('89504e470d0a1a0a0000000d', 'hex')

test.each([
  ['image/png', png],
  ['image/jpeg', Buffer.from('ffd8ffe0', 'hex')],
  ['image/webp', Buffer.from('RIFF\0\0\0\0WEBPVP8 ')],
  ['image/svg+xml', Buffer.from('<svg xmlns="http://www.w3.org/2000/svg"/>')],
  ['image/svg+xml', Buffer.from('\uFEFF<?xml version="1.0"?>\n<!-- a\nb --><!DOCTYPE svg PUBLIC "a" "b">\n<svg>')],
])('%s is known by its bytes', (type, bytes) => {
  expect(detectImageType(bytes)).toBe(type)
})

test('comments without end take no time', () => {
  const began = performance.now()
  expect(detectImageType(Buffer.from(`${'<!---->'.repeat(580)}x`))).toBeUndefined()
  expect(performance.now() - began).toBeLessThan(1_000)
})

test.each([
  ['nothing', Buffer.alloc(0)],
  ['a comment that never ends', Buffer.from('<!-- <svg></svg>')],
  ['a page', Buffer.from('<!doctype html><svg></svg>')],
  ['a page that begins with a comment', Buffer.from('<!-- x --><html><svg></svg></html>')],
  ['a GIF', Buffer.from('GIF89a')],
  ['a wave file', Buffer.from('RIFF\0\0\0\0WAVEfmt ')],
  ['half a signature', png.subarray(0, 7)],
])('%s is no image of ours', (_what, bytes) => {
  expect(detectImageType(bytes)).toBeUndefined()
})
