import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { claim, shareClaim } from './only-one.mjs'

const makeFolder = (): string => {
  const folder = mkdtempSync(join(tmpdir(), 'nexus-only-one-'))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  return folder
}

/** A process that claims the folder when it is told to, says who holds it, and lives until it is killed. */
const startClaimant = (folder: string): ChildProcess => {
  const module = JSON.stringify(new URL('only-one.mjs', import.meta.url))
  const program = `
    import { claim } from ${module}
    process.stdin.once('data', () => console.log(String(claim(${JSON.stringify(folder)}).holder)))
    console.log('here')`
  const child = spawn(process.execPath, ['--input-type=module', '-e', program], { stdio: ['pipe', 'pipe', 'inherit'] })
  onTestFinished(() => void child.kill('SIGKILL'))
  return child
}

const hear = async ({ stdout }: ChildProcess): Promise<string> => {
  if (stdout === null) throw new Error('no stdout')
  const [chunk] = await once(stdout, 'data')
  return String(chunk).trim()
}

test('of many processes that claim a folder at the same moment, at most one gets it', async () => {
  const folder = makeFolder()
  const claimants = Array.from({ length: 6 }, () => startClaimant(folder))
  await Promise.all(claimants.map(hear))
  const answers = Promise.all(claimants.map(hear))
  for (const { stdin } of claimants) stdin?.write('now\n')
  const holders = (await answers).filter((holder) => holder === 'undefined')
  expect(holders.length).toBeLessThanOrEqual(1)
})

test('the claim of a living process stands, that of a killed one does not', async () => {
  const folder = makeFolder()
  const claimant = startClaimant(folder)
  await hear(claimant)
  const answer = hear(claimant)
  claimant.stdin?.write('now\n')
  expect(await answer).toBe('undefined')
  expect(claim(folder)).toEqual({ holder: claimant.pid })

  claimant.kill('SIGKILL')
  await once(claimant, 'exit')
  const claimed = claim(folder)
  expect(claimed.holder).toBeUndefined()
  expect(readdirSync(folder)).toHaveLength(1)
})

test('a shared claim lasts as long as the child', async () => {
  const folder = makeFolder()
  const child = spawn('sleep', ['60'])
  onTestFinished(() => void child.kill('SIGKILL'))
  shareClaim(folder, child.pid)
  expect(claim(folder)).toEqual({ holder: child.pid })
  child.kill('SIGKILL')
  await once(child, 'exit')
  expect(claim(folder).holder).toBeUndefined()
})

test('a process id that is used again is not taken for its predecessor', () => {
  const folder = makeFolder()
  writeFileSync(join(folder, `${process.ppid}-1`), '')
  const claimed = claim(folder)
  expect(claimed.holder).toBeUndefined()
  if (claimed.holder === undefined) claimed.release()
  expect(readdirSync(folder)).toEqual([])
})
