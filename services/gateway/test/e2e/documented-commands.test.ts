// The commands of pages, typed in one after the other beside what `npm start` runs.
import { readFileSync } from 'node:fs'
import { createBrowser } from '@nexus/testing'
import { expect, vi } from 'vitest'
import { type Step, isFailureExpected, readSteps, showsOutput } from './document-steps.ts'
import { test, type ReaderScene } from './reader-scene.ts'
import { startReaderShell } from './reader-shell.ts'

// each `nexus` is a process of its own, which takes a second on a busy machine
vi.setConfig({ testTimeout: 400_000 })

/** The app of the pages: no browser of a test opens it. */
const appOrigin = 'http://localhost:3000'

/** Whoever is shown a link opens it and signs in. @returns where the browser was sent in the end */
async function connect(link: string): Promise<URL> {
  const page = await createBrowser({ person: { name: 'alice' } }).open(link, {
    stopAt: ({ origin }) => origin === appOrigin,
  })
  if (page.unsent === undefined && page.status !== 200) throw new Error(`not connected: ${page.status} ${page.body}`)
  return page.url
}

async function followPage(name: string, { folder, programs, addresses }: ReaderScene): Promise<readonly string[]> {
  const page = readFileSync(new URL(`../../../../${name}`, import.meta.url), 'utf8')
  const here = addresses.reduce((text, [said, real]) => text.replaceAll(said, real), page)
  const visits = new Map<string, Promise<URL>>()
  let shown = ''
  await using shell = startReaderShell({
    cwd: folder,
    env: { PATH: `${programs}:${process.env['PATH'] ?? ''}`, HOME: folder },
    onOutput(text) {
      shown += text
      for (const [link] of shown.matchAll(/http:\/\/[^\s"]+\/auth\/connect\/[\w-]+(?=["\s])/g)) {
        if (!visits.has(link)) visits.set(link, connect(link))
      }
    },
  })
  const faults: string[] = []
  for (const step of readSteps(name, here)) {
    const { output, failed } = await shell.run(step.script)
    const landed = await Promise.all(visits.values())
    // the page says that the app takes it from the URL
    const code = landed.at(-1)?.searchParams.get('completion_code')
    if (code) await shell.run(`COMPLETION_CODE=${code}`)
    faults.push(...findFaults(step, output, failed))
  }
  return faults
}

function findFaults(step: Step, output: string, failed: string): readonly string[] {
  const didFail = failed !== ''
  return [
    ...(didFail === isFailureExpected(step)
      ? []
      : [`${step.place}: ${didFail ? `failed: ${failed}` : 'did not fail'}`]),
    ...(showsOutput(step, output)
      ? []
      : [`${step.place}: says\n${output}\nand not\n${step.expected?.body ?? 'success'}`]),
  ]
}

// each works by itself; the later ones leave providers that the earlier ones would list
for (const name of ['docs/agents.md', 'docs/hub.md', 'docs/connect.md']) {
  test(`every command of ${name} works, and says what the page shows`, async ({ scene }) => {
    expect((await followPage(name, scene)).join('\n\n')).toBe('')
  })
}
