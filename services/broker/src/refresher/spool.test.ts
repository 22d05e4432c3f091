import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, rm, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect, onTestFinished, test } from 'vitest'
import { openSpool } from './spool.ts'

const connectionId = '01a20d6c-7cd3-723c-a999-0d6178d9ba87'
const answer = { connectionId, version: 3, leaseEpoch: 7, bytes: Buffer.from('sealed') }

async function makeDirectory(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'nexus-spool-'))
  onTestFinished(() => rm(directory, { recursive: true }))
  return directory
}

test('answers for one version, of two leases, lie beside each other: the database decides which one counts', async () => {
  const directory = await makeDirectory()
  // two Brokers that share the folder
  const [one, two] = [await openSpool(directory), await openSpool(directory)]
  const later = { ...answer, leaseEpoch: 8, bytes: Buffer.from('sealed by the other') }
  await two.write(later)
  await one.write(answer)
  const listed = await one.list(expect.unreachable)
  expect(listed.toSorted((a, b) => a.leaseEpoch - b.leaseEpoch)).toEqual([answer, later])
  await one.remove(answer)
  // whoever comes second finds it gone
  await two.remove(answer)
  expect(await two.list(expect.unreachable)).toEqual([later])
})

test('an answer that is half written, and what is no answer, is not listed', async () => {
  const directory = await makeDirectory()
  const spool = await openSpool(directory)
  await writeFile(join(directory, `${connectionId}.3.7.answer.part`), 'sea')
  await writeFile(join(directory, 'README.txt'), 'of somebody')
  expect(await spool.list(expect.unreachable)).toEqual([])
})

test('what only has the name of an answer is named, and keeps no other from being read', async () => {
  const directory = await makeDirectory()
  const spool = await openSpool(directory)
  const nameOf = (epoch: number): string => `${connectionId}.3.${epoch}.answer`
  await spool.write(answer)
  await mkdir(join(directory, nameOf(8)))
  await promisify(execFile)('mkfifo', [join(directory, nameOf(9))])
  await writeFile(join(directory, nameOf(10)), '')
  await truncate(join(directory, nameOf(10)), 5_000_000)
  const unreadable: string[] = []
  expect(await spool.list((name) => unreadable.push(name))).toEqual([answer])
  expect(unreadable.toSorted()).toEqual([nameOf(8), nameOf(9), nameOf(10)].toSorted())
})

test('a folder that cannot be made is said at the start', async () => {
  const directory = await makeDirectory()
  await writeFile(join(directory, 'file'), '')
  await expect(openSpool(join(directory, 'file', 'spool'))).rejects.toThrow('SPOOL_DIR cannot be written to')
})
