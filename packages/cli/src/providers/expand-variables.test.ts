import { expect, test } from 'vitest'
import { escapeVariables, expandVariables } from './expand-variables.ts'

const env = { NAME: 'value', OTHER: 'a ${NAME} $& $1', EMPTY: '' }

test.each([
  ['plain', 'plain'],
  ['${NAME}', 'value'],
  ['https://${NAME}.example.com/${NAME}', 'https://value.example.com/value'],
  [
    'what a variable holds is not looked through again: ${OTHER}',
    'what a variable holds is not looked through again: a ${NAME} $& $1',
  ],
  ['$${NAME} and $NAME and $$', '${NAME} and $NAME and $$'],
  ['$$${NAME}', '$${NAME}'],
])('%j becomes %j', (text, expanded) => {
  expect(expandVariables(text, env)).toEqual({ text: expanded })
})

test.each([
  ['${MISSING}', /the variable MISSING is not set/],
  ['${EMPTY}', /the variable EMPTY is not set/],
  ['${NAME} ${MISSING}', /MISSING/],
  ['${NA ME}', /write \$\$\{/],
  ['${}', /write \$\$\{/],
  ['${NAME', /write \$\$\{/],
  ['${toString}', /toString is not set/],
])('%j is a mistake', (text, problem) => {
  expect(expandVariables(text, Object.assign(Object.create(null), env) as typeof env)).toEqual({
    problem: expect.stringMatching(problem) as string,
  })
})

test.each(['${NAME}', '$${NAME}', 'a ${ b', '$', '$$', '${NAME}${'])('what is escaped comes back: %j', (text) => {
  expect(expandVariables(escapeVariables(text), env)).toEqual({ text })
})
