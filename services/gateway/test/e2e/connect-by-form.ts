import { createBrowser } from '@nexus/testing'
import { isApp } from './nexus.ts'

/**
 * What a person does who was given a link to a form: opens it, types the credentials in, and sends them.
 * @returns where they end
 */
export async function connectByForm(authUrl: string, credentials: Readonly<Record<string, string>>): Promise<URL> {
  const browser = createBrowser()
  const page = await browser.open(authUrl)
  const fields = Object.fromEntries(Object.entries(credentials).map(([name, value]) => [`credentials[${name}]`, value]))
  const done = await browser.submit(page, { fields, stopAt: isApp })
  if (done.unsent === undefined && done.status !== 200) throw new Error(`not connected: ${done.status} ${done.body}`)
  return done.url
}
