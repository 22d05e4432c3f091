/** What the pages load, all from their own origin: `style-src`, `script-src` and `img-src` allow nothing else. */
export const pageStylesheetPath = '/auth/assets/page.css'
export const pageScriptPath = '/auth/assets/page.js'
/** The operator's colour, over those of `pageStylesheet`. */
export const brandStylesheetPath = '/auth/assets/brand.css'
export const logoPath = '/auth/assets/logo'
