/**
 * The same response, which says (and shows, when it is logged) the URL without the credential in it, and where it leads
 * without the credential too: an API that redirects may keep the query.
 */
export function withoutSecretUrl(response: Response, url: string, parameter: string): Response {
  const location = response.headers.get('location')
  if (location !== null && URL.canParse(location, url)) {
    const target = new URL(location, url)
    if (target.searchParams.has(parameter)) {
      target.searchParams.delete(parameter)
      return withoutSecretUrl(withLocation(response, target.href), url, parameter)
    }
  }
  const clone = response.clone.bind(response)
  return Object.defineProperties(response, {
    url: { value: url },
    clone: { value: () => withoutSecretUrl(clone(), url, parameter) },
  })
}

/** The headers of an answer cannot be changed, and an answer made anew takes the body along. */
function withLocation(response: Response, location: string): Response {
  const headers = new Headers(response.headers)
  headers.set('location', location)
  const { status, statusText, body } = response
  return new Response(body, { status, statusText, headers })
}
