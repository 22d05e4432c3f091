type Answer = { readonly url: string; readonly status: number; readonly text: string }

type Sent = { readonly headers?: Readonly<Record<string, string>>; readonly body?: object }

/** Asks a service that runs here. */
export const call = async (method: string, url: string, { headers = {}, body }: Sent = {}): Promise<Answer> => {
  const response = await fetch(url, {
    method,
    headers: body === undefined ? headers : { 'content-type': 'application/json', ...headers },
    body: body === undefined ? null : JSON.stringify(body),
  })
  return { url, status: response.status, text: await response.text() }
}

/** The body of a good answer. @throws Error that quotes any other */
export const read = <Body>(schema: { parse: (value: unknown) => Body }, { url, status, text }: Answer): Body => {
  if (status < 200 || status > 299) throw new Error(`${url} answered ${status}: ${text}`)
  return schema.parse(JSON.parse(text))
}
