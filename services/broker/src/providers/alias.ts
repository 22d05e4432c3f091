/**
 * The one spelling under which a name or an alias is kept and looked for. Done here and not by SQL's `lower`, which in
 * some locales knows ASCII only.
 */
export function normaliseAlias(text: string): string {
  return text.trim().normalize('NFC').toLowerCase()
}
