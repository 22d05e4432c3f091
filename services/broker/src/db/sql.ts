/**
 * A statement with its parameters apart from its text: what `pg` takes. One with a name is parsed and planned once per
 * connection: for the few statements that run thousands of times a second.
 */
export type Sql = { readonly text: string; readonly values: readonly unknown[]; readonly name?: string }

/**
 * Builds a parameterised statement: every `${value}` becomes `$n`, never text.
 * Another `Sql` in a place is spliced in with its own parameters renumbered, so conditions can be composed.
 * Cast parameters in the statement (`${id}::uuid`): PostgreSQL then never has to guess a type.
 */
export function sql(strings: TemplateStringsArray, ...values: readonly unknown[]): Sql {
  const collected: unknown[] = []
  let text = strings[0] ?? ''
  values.forEach((value, index) => {
    if (isSql(value)) text += renumber(value, collected)
    else text += `$${collected.push(value)}`
    text += strings[index + 1] ?? ''
  })
  return { text, values: collected }
}

/** Names a statement whose text never varies, so that connections keep it prepared. */
export function prepared(name: string, statement: Sql): Sql {
  return { ...statement, name }
}

const fragments = new WeakSet<object>()

/** A piece of a statement that may be spliced into another. */
export function fragment(strings: TemplateStringsArray, ...values: readonly unknown[]): Sql {
  const made = sql(strings, ...values)
  fragments.add(made)
  return made
}

// membership, not shape: an object that merely looks like a fragment stays a parameter
function isSql(value: unknown): value is Sql {
  return typeof value === 'object' && value !== null && fragments.has(value)
}

function renumber(piece: Sql, collected: unknown[]): string {
  const offset = collected.length
  collected.push(...piece.values)
  return piece.text.replaceAll(/\$(\d+)/g, (_, n: string) => `$${Number(n) + offset}`)
}
