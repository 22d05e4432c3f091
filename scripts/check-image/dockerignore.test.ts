import { expect, test } from 'vitest'
import { createIgnore } from './dockerignore.ts'

const isIgnored = createIgnore(`
# a comment
*
!LICENSE
!packages/*/src
packages/testing
**/*.test.ts
**/.env
`)

test.each([
  ['LICENSE', false],
  ['README.md', true],
  ['packages/config/src/index.ts', false],
  ['packages/config/src/deep/er/file.css', false],
  ['packages/config/package.json', true],
  ['packages/config/src/cidrs.test.ts', true],
  ['packages/testing/src/index.ts', true],
  ['packages/config/src/.env', true],
  ['packages/config/src/x.env', false],
  ['packages/a/b/src/index.ts', true],
])('%s kept out: %s', (path, expected) => {
  expect(isIgnored(path)).toBe(expected)
})

test('the last rule that matches decides, as the builders do it', () => {
  const decide = createIgnore('docs\n!docs/keep.md\ndocs/keep.*')
  expect(decide('docs/keep.md')).toBe(true)
})
