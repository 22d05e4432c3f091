import { spawn } from 'node:child_process'
import { once } from 'node:events'
import type { Environment } from '../io.ts'

/** What opens a URL, without a shell between: the URL is somebody else's text. */
const openers: Partial<Record<NodeJS.Platform, readonly [command: string, ...args: string[]]>> = {
  darwin: ['open'],
  linux: ['xdg-open'],
  win32: ['rundll32', 'url.dll,FileProtocolHandler'],
}

/**
 * Shows a page to the person at this machine. Where there is no browser nothing happens: they open the link themselves.
 * @returns whether something took it
 */
export async function openBrowser(url: string, env: Environment, platform = process.platform): Promise<boolean> {
  const [command, ...args] = openers[platform] ?? []
  if (command === undefined || !isWebPage(url) || !hasScreen(env, platform)) return false
  const child = spawn(command, [...args, url], { detached: true, stdio: 'ignore', env: { ...env } })
  try {
    await once(child, 'spawn')
    child.unref()
    return true
  } catch {
    return false
  }
}

function isWebPage(url: string): boolean {
  return URL.canParse(url) && /^https?:$/.test(new URL(url).protocol)
}

/** On a server, xdg-open would find a browser for terminals, and start it where nobody sees it. */
function hasScreen(env: Environment, platform: NodeJS.Platform): boolean {
  if (platform !== 'linux') return true
  return ['DISPLAY', 'WAYLAND_DISPLAY', 'WSL_DISTRO_NAME'].some((name) => (env[name] ?? '') !== '')
}
