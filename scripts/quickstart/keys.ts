import { randomBytes } from 'node:crypto'
import { chmodSync, existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseEnv } from 'node:util'

const makers = {
  ENCRYPTION_KEY: () => randomBytes(32).toString('base64'),
  STATE_KEY: () => randomBytes(32).toString('base64'),
  API_KEY: () => randomBytes(32).toString('hex'),
  ADMIN_API_KEY: () => randomBytes(32).toString('hex'),
  DEMO_CLIENT_SECRET: () => randomBytes(32).toString('hex'),
}

/** Secrets of this machine's own Nexus, named as the services' environment variables are. */
export type Keys = Readonly<Record<keyof typeof makers, string>>

const note = '# Keys of the Nexus that npm start runs here. Without ENCRYPTION_KEY its database cannot be read.\n'

/**
 * Reads the keys kept in `dataDir`, and makes the ones that are missing.
 *
 * @throws Error if there is a database whose keys are gone
 */
export const loadKeys = (dataDir: string): Keys => {
  const file = join(dataDir, 'keys.env')
  const kept = existsSync(file) ? parseEnv(readFileSync(file, 'utf8')) : {}
  const database = join(dataDir, 'postgres')
  if (!kept['ENCRYPTION_KEY'] && existsSync(database)) {
    throw new Error(`${file} is gone, and without it ${database} cannot be read: restore the one or remove the other`)
  }
  const pick = (name: keyof Keys): string => kept[name] || makers[name]()
  const keys: Keys = {
    ENCRYPTION_KEY: pick('ENCRYPTION_KEY'),
    STATE_KEY: pick('STATE_KEY'),
    API_KEY: pick('API_KEY'),
    ADMIN_API_KEY: pick('ADMIN_API_KEY'),
    DEMO_CLIENT_SECRET: pick('DEMO_CLIENT_SECRET'),
  }
  const isComplete = Object.entries(keys).every(([name, value]) => kept[name] === value)
  if (isComplete) chmodSync(file, 0o600)
  else save(file, { ...kept, ...keys })
  return keys
}

const save = (file: string, values: Readonly<Record<string, string | undefined>>): void => {
  const lines = Object.entries(values).map(([name, value]) => `${name}=${value}\n`)
  writeFileSync(`${file}.new`, note + lines.join(''), { mode: 0o600 })
  renameSync(`${file}.new`, file)
}
