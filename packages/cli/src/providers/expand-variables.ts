import type { Environment } from '../io.ts'

export type Expanded = { readonly text: string } | { readonly problem: string }

/** `$${` stands for `${` itself; `${` without a name after it is a mistake. */
const references = /\$\$\{|\$\{([^}]*)\}?/g

/**
 * Puts variables of the environment in the place of `${NAME}`. What they hold is taken as it is: it is not looked through
 * again. One that is empty counts as missing, as everywhere in Nexus.
 */
export function expandVariables(text: string, env: Environment): Expanded {
  const problems: string[] = []
  const expanded = text.replaceAll(references, (reference, name: string | undefined) => {
    if (name === undefined) return '${'
    if (!reference.endsWith('}') || !/^[A-Za-z_]\w*$/.test(name)) {
      problems.push('after ${ the name of a variable and } are expected; for the characters themselves write $${')
      return ''
    }
    const value = env[name] ?? ''
    if (value === '') problems.push(`the variable ${name} is not set`)
    return value
  })
  const [problem] = problems
  return problem === undefined ? { text: expanded } : { problem }
}

/** The text that expands to this one. */
export function escapeVariables(text: string): string {
  return text.replaceAll('${', () => '$${')
}
