/** Names that reach an object's prototype when somebody copies fields without care. */
export function isPrototypeName(name: string): boolean {
  return name === '__proto__' || name === 'constructor'
}
