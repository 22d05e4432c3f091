// no import of package.json: it is published without, and JSON modules are not everywhere
/** Of this package; a test compares it with the manifest. */
export const version = '0.1.0'
