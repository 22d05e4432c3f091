import { constants } from 'node:fs'
import { access, lstat, mkdir, open, readFile, readdir, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { SealedAnswer } from './sealed-answers.ts'

/** A folder in which answers outlive the process (SPOOL_DIR). Several Brokers may share it: what is read twice is stored once. */
export type Spool = {
  readonly write: (answer: SealedAnswer) => Promise<void>
  /** @param onUnreadable - told of each file that cannot be read: it keeps no other from being */
  readonly list: (onUnreadable: (name: string, error: unknown) => void) => Promise<readonly SealedAnswer[]>
  readonly remove: (answer: SealedAnswer) => Promise<void>
}

/** Far more than any answer: what is larger is none. */
const longestAnswerBytes = 4_194_304
const fileName = /^([\da-f]{8}(?:-[\da-f]{4}){3}-[\da-f]{12})\.(\d{1,10})\.(\d{1,16})\.answer$/

/** @throws Error where the folder cannot be made or written to: better said at the start than when it is needed */
export async function openSpool(directory: string): Promise<Spool> {
  try {
    await mkdir(directory, { recursive: true, mode: 0o700 })
    await access(directory, constants.R_OK | constants.W_OK | constants.X_OK)
  } catch (cause) {
    throw new Error('SPOOL_DIR cannot be written to', { cause })
  }
  const pathOf = ({ connectionId, version, leaseEpoch }: SealedAnswer): string =>
    join(directory, `${connectionId}.${version}.${leaseEpoch}.answer`)
  return {
    async write(answer) {
      const path = pathOf(answer)
      await writeDurably(`${path}.part`, answer.bytes)
      await rename(`${path}.part`, path)
      await syncDirectory(directory)
    },
    async list(onUnreadable) {
      const names = (await readdir(directory)).map((name) => fileName.exec(name)).filter((match) => match !== null)
      const answers = names.map(async ([name, connectionId = '', version = '', epoch = '']) => {
        const bytes = await readAnswer(join(directory, name)).catch((error: unknown) => {
          // else another Broker has read it meanwhile
          if (!isMissing(error)) onUnreadable(name, error)
        })
        return bytes === undefined ? [] : [{ connectionId, version: Number(version), leaseEpoch: Number(epoch), bytes }]
      })
      return (await Promise.all(answers)).flat()
    },
    remove: (answer) => rm(pathOf(answer), { force: true }),
  }
}

/** @throws Error also for what only has the name of an answer: a pipe, say, would never end */
async function readAnswer(path: string): Promise<Buffer> {
  const found = await lstat(path)
  if (!found.isFile() || found.size > longestAnswerBytes) throw new Error('this is no answer of ours')
  return readFile(path)
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOENT'
}

/** For its owner alone, and on the disk when this resolves. */
async function writeDurably(path: string, bytes: Buffer): Promise<void> {
  const file = await open(path, 'w', 0o600)
  try {
    await file.writeFile(bytes)
    await file.sync()
  } finally {
    await file.close()
  }
}

async function syncDirectory(directory: string): Promise<void> {
  const handle = await open(directory, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}
