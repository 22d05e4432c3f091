/**
 * Whether a page's Content-Security-Policy lets its forms end at `target` (CSP3 §6.4.1). Chrome applies this to every
 * redirect that follows a submission too, which is how a sign-in breaks that works everywhere else.
 */
export function formActionAllows(policy: string | null, page: URL, target: URL): boolean {
  const directive = (policy ?? '')
    .split(';')
    .map((part) => part.trim().split(/\s+/))
    .find(([name]) => name?.toLowerCase() === 'form-action')
  // form-action does not fall back to default-src
  if (directive === undefined) return true
  return directive.slice(1).some((source) => sourceMatches(source, page, target))
}

function sourceMatches(source: string, page: URL, target: URL): boolean {
  if (source === "'none'") return false
  if (source === "'self'") return target.origin === page.origin
  if (source === '*') return /^https?:$/.test(target.protocol)
  if (/^[a-z][a-z\d+.-]*:$/i.test(source)) return target.protocol === source.toLowerCase()
  const [, scheme, host = '', port] = /^(?:([a-z]+):\/\/)?([^:/]+)(?::(\d+|\*))?\/?$/i.exec(source) ?? []
  if (scheme !== undefined && target.protocol !== `${scheme}:`) return false
  const hostMatches = host.startsWith('*.') ? target.hostname.endsWith(host.slice(1)) : target.hostname === host
  return hostMatches && (port === '*' || (port ?? '') === target.port)
}
