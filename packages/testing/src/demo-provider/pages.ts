import { createHash } from 'node:crypto'

/** What the sign-in page shows. */
export type SignInView = {
  readonly client: string
  readonly scopes: readonly string[]
  /** Where the person will be sent afterwards. */
  readonly destination: string
  readonly suggestedName: string
}

const style = `
:root{color-scheme:light dark;--ink:light-dark(#1c1b22,#f1eff7);--soft:light-dark(#5c5967,#b3afc0);--paper:light-dark(#f4f2f8,#131218);--card:light-dark(#fff,#1e1c26);--line:light-dark(#d9d5e3,#3a3747);--accent:light-dark(#4b3fd1,#a79dff);--on:light-dark(#fff,#16132e)}
*{box-sizing:border-box}
body{margin:0;min-height:100svh;display:grid;place-items:center;padding:1.5rem;background:var(--paper);color:var(--ink);font:1rem/1.5 system-ui,sans-serif}
main{width:100%;max-width:26rem;padding:2rem;background:var(--card);border:1px solid var(--line);border-radius:1rem}
h1{margin:0 0 .25rem;font-size:1.4rem;line-height:1.25}
p{margin:0 0 1rem}small,.soft{color:var(--soft)}p.soft{margin:1.25rem 0 0}
ul{margin:0 0 1.25rem;padding:0;list-style:none;border:1px solid var(--line);border-radius:.6rem}
li{padding:.55rem .8rem}li+li{border-top:1px solid var(--line)}
label{display:block;margin-bottom:.3rem;font-weight:600}
input{width:100%;padding:.6rem .75rem;font:inherit;color:inherit;background:transparent;border:1px solid var(--soft);border-radius:.6rem}
div{display:flex;gap:.75rem;margin-top:1.25rem}
button{flex:1;padding:.65rem 1rem;font:inherit;font-weight:600;color:var(--ink);background:transparent;border:1px solid var(--soft);border-radius:.6rem;cursor:pointer}
button[value=allow]{color:var(--on);background:var(--accent);border-color:var(--accent)}
:focus-visible{outline:3px solid var(--accent);outline-offset:2px}
code{overflow-wrap:anywhere}
`

/**
 * Headers of every page here. No `form-action`: the form's redirects end at the client, whose address the demo cannot
 * know beforehand.
 */
export const pageHeaders = {
  'content-type': 'text/html; charset=utf-8',
  'cache-control': 'no-store',
  'referrer-policy': 'no-referrer',
  'content-security-policy': `default-src 'none'; base-uri 'none'; frame-ancestors 'none'; style-src 'sha256-${createHash('sha256').update(style).digest('base64')}'`,
}

const meanings: Readonly<Record<string, string>> = {
  openid: 'Know who you are',
  profile: 'See your name',
  email: 'See your e-mail address',
  offline_access: 'Keep access while you are away',
  read: 'Read your demo data',
  write: 'Change your demo data',
}

export function signInPage({ client, scopes, destination, suggestedName }: SignInView): string {
  return page(
    'Demo sign-in',
    `<p><strong>${escapeHtml(client)}</strong> asks to use your demo account:</p>
<ul>${scopes.map((scope) => `<li>${escapeHtml(meanings[scope] ?? scope)} <small>${escapeHtml(scope)}</small></li>`).join('')}</ul>
<form method="post" id="demo-sign-in">
<label for="login">Your name</label>
<input id="login" name="login" value="${escapeHtml(suggestedName)}" required maxlength="64" autocomplete="username" autofocus aria-describedby="hint">
<small id="hint">Any name will do: this provider only exists on your machine.</small>
<div><button name="answer" value="allow">Allow</button><button name="answer" value="cancel" formnovalidate>Cancel</button></div>
</form>
<p class="soft"><small>You will return to <code>${escapeHtml(destination)}</code></small></p>`,
  )
}

export function errorPage(error: string, description: string): string {
  return page(
    'This did not work',
    `<p>${escapeHtml(description)}</p><p class="soft"><code>${escapeHtml(error)}</code></p>`,
  )
}

function page(title: string, content: string): string {
  return `<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>${title}</title><style>${style}</style></head><body><main><h1>${title}</h1>${content}</main></body></html>`
}

function escapeHtml(text: string): string {
  return text.replaceAll(/[&<>"']/g, (sign) => `&#${sign.charCodeAt(0)};`)
}
