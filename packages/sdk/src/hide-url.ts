/** The same response, which says (and shows, when it is logged) the URL without the credential in it. */
export function withoutSecretUrl(response: Response, url: string): Response {
  const clone = response.clone.bind(response)
  return Object.defineProperties(response, {
    url: { value: url },
    clone: { value: () => withoutSecretUrl(clone(), url) },
  })
}
