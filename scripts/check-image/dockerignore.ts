type Rule = { readonly pattern: RegExp; readonly isException: boolean }

/**
 * Whether a path of the build context is kept out of it. As the builders do it: the last rule that matches the path or
 * one of the folders above it decides.
 *
 * @param text - of .dockerignore
 */
export function createIgnore(text: string): (path: string) => boolean {
  const rules = text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map(toRule)
  return (path) => {
    const parts = path.split('/')
    const prefixes = parts.map((_, index) => parts.slice(0, index + 1).join('/'))
    const deciding = rules.findLast(({ pattern }) => prefixes.some((prefix) => pattern.test(prefix)))
    return deciding !== undefined && !deciding.isException
  }
}

function toRule(line: string): Rule {
  const isException = line.startsWith('!')
  const glob = (isException ? line.slice(1) : line).replaceAll(/^\/+|\/+$/g, '')
  const source = glob.replaceAll(/\*\*\/|\*\*|\*|\?|[^*?]+/g, (piece) => {
    switch (piece) {
      case '**/':
        return '(?:.*/)?'
      case '**':
        return '.*'
      case '*':
        return '[^/]*'
      case '?':
        return '[^/]'
      default:
        return RegExp.escape(piece)
    }
  })
  return { pattern: new RegExp(`^${source}$`), isException }
}
