import { existsSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type Browser, type Page, chromium } from 'playwright-core'
import { test as base } from './nexus.ts'

// a real browser: its cookie jar, its CSP, its idea of a redirect. Where there is none only CI insists on it.
const executablePath = process.env['CHROMIUM'] ?? '/usr/bin/chromium'
export const isChromiumMissing = !existsSync(executablePath) && process.env['CI'] !== 'true'

/** Every page is kept as a picture here, for people to look at. */
export const pictures =
  process.env['TEST_SCREENSHOTS'] ?? fileURLToPath(new URL('../../../../.nexus/screenshots', import.meta.url))

/** `test` with one installation and one Chromium for the whole file; each test opens contexts of its own. */
export const test = base.extend('browser', { scope: 'file' }, async ({}, { onCleanup }): Promise<Browser> => {
  const args = [
    '--no-sandbox',
    '--disable-dev-shm-usage',
    '--disable-background-networking',
    '--disable-component-update',
    '--no-first-run',
  ]
  const browser = await chromium.launch({ executablePath, args })
  onCleanup(async () => {
    await browser.close()
    process.stdout.write(`pictures of the pages: ${pictures}\n`)
  })
  return browser
})

export async function keepPicture(page: Page, name: string): Promise<void> {
  mkdirSync(pictures, { recursive: true })
  await page.screenshot({ path: join(pictures, `${name}.png`), fullPage: true })
}
