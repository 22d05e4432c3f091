import { globSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { duties } from './requirements.ts'

const root = fileURLToPath(new URL('../../../', import.meta.url))
const files = globSync('{packages,services}/*/{src,test}/**/*.test.ts', { cwd: root })

/** Duties by id, with the files whose test titles cite them. */
const cited = new Map<string, Set<string>>()
for (const file of files) {
  // a title that begins with ids: '[H1] …', '[A1] [A2] …'
  for (const [, ids = ''] of readFileSync(`${root}${file}`, 'utf8').matchAll(/['"`]((?:\[[A-Z]\d{1,2}\] ?)+)/g)) {
    for (const [, id = ''] of ids.matchAll(/\[([A-Z]\d{1,2})\]/g)) cited.set(id, (cited.get(id) ?? new Set()).add(file))
  }
}

test.each(duties)('a test cites the duty %s', (duty) => {
  expect([...(cited.get(duty) ?? [])], `no test title begins with [${duty}]`).not.toEqual([])
})

test('every duty that a test cites exists', () => {
  expect([...cited.keys()].filter((id) => !duties.includes(id))).toEqual([])
})
