import { expect, test } from 'vitest'
import { parseDockerfile, parseExecForm } from './dockerfile.ts'

test('stages, flags, continued lines and comments between them', () => {
  const stages = parseDockerfile(`
# syntax
FROM node:24 AS install
COPY a b/
# why
run one \\
  # inside
  two
FROM node:24
COPY --from=install /app /app
CMD ["node", "a b"]
`)
  expect(stages.map(({ base, name }) => [base, name])).toEqual([
    ['node:24', 'install'],
    ['node:24', undefined],
  ])
  expect(stages[0]?.instructions).toMatchObject([
    { keyword: 'COPY', text: 'a b/', line: 4 },
    { keyword: 'RUN', text: 'one  two', line: 6 },
  ])
  const [copy, command] = stages[1]?.instructions ?? []
  expect(copy).toMatchObject({ flags: { from: 'install' }, text: '/app /app' })
  expect(command && parseExecForm(command)).toEqual(['node', 'a b'])
})

test('the shell form is refused: the shell would be process 1 and keep SIGTERM to itself', () => {
  const [stage] = parseDockerfile('FROM x\nCMD node main.ts')
  expect(() => stage?.instructions.map(parseExecForm)).toThrow('line 2: CMD must be a JSON list')
})

test.each(['COPY a b', 'FROM x\nRUN a \\', 'FROM x\nnonsense'])('what is no Dockerfile is refused: %j', (text) => {
  expect(() => parseDockerfile(text)).toThrow(/^line \d/)
})
