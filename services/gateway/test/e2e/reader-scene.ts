import { execFile } from 'node:child_process'
import { chmod, copyFile, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { freePort, spawnService } from '@nexus/testing'
import { test as base } from '@nexus/testing/vitest'

const repository = fileURLToPath(new URL('../../../../', import.meta.url))
const factsLine = /^\{"broker".*\}$/m

export type ReaderScene = {
  /** Where commands are typed in: `.nexus` and `.env` are there, and programs find the SDK. */
  readonly folder: string
  /** Where `docker` and `kubectl` are that run here what they would run in a container. */
  readonly programs: string
  /** From where the pages say that a service is to where it is. */
  readonly addresses: readonly (readonly [string, string])[]
}

/** `test` with what `npm start` runs, on a database of the file's own. */
export const test = base.extend('scene', { scope: 'file' }, async ({ database }, { onCleanup }) => {
  const resources = new AsyncDisposableStack()
  onCleanup(() => resources.disposeAsync())
  const folder = await mkdtemp(join(tmpdir(), 'nexus-reader-'))
  resources.defer(() => rm(folder, { recursive: true }))
  const providerPort = await freePort()
  const service = await spawnService({
    entry: join(repository, 'scripts/quickstart.ts'),
    args: [
      '--json',
      `--data-dir=${join(folder, '.nexus')}`,
      `--database-url=${database.url}`,
      '--gateway-port=0',
      '--broker-port=0',
      `--provider-port=${providerPort}`,
    ],
    ready: { log: factsLine },
    startWithinMs: 50_000,
  })
  resources.defer(async () => void (await service.stop('SIGINT')))
  const facts: Readonly<Record<'gateway' | 'broker', string>> = JSON.parse(factsLine.exec(service.output())?.[0] ?? '')
  // the first time it brings its own pnpm, and says so
  await promisify(execFile)('npm', ['run', 'nexus', '--silent', '--prefix', repository, '--', '--version'])
  await copyFile(join(folder, '.nexus/keys.env'), join(folder, '.env'))
  await mkdir(join(folder, 'node_modules/@nexus'), { recursive: true })
  await symlink(join(repository, 'packages/sdk'), join(folder, 'node_modules/@nexus/sdk'))
  await symlink(repository, join(folder, 'nexus'))
  const scene: ReaderScene = {
    folder,
    programs: join(folder, 'bin'),
    addresses: [
      ['http://127.0.0.1:8090', facts.gateway],
      ['https://nexus.example.com', facts.gateway],
      ['http://127.0.0.1:8080', facts.broker],
      ['http://broker:8080', facts.broker],
      ['http://127.0.0.1:9400', `http://127.0.0.1:${providerPort}`],
    ],
  }
  await writePrograms(scene.programs, {
    ofBroker: { DATABASE_URL: database.url, BASE_URL: facts.gateway },
    ofOperator: { BROKER_BASE_URL: facts.broker, NEXUS_URL: facts.gateway },
  })
  return scene
})

type Settings = Readonly<Record<string, string>>

/** In the place of a container: the same program, with the container's settings and no others. */
async function writePrograms(
  folder: string,
  { ofBroker, ofOperator }: { readonly ofBroker: Settings; readonly ofOperator: Settings },
): Promise<void> {
  await mkdir(folder)
  const bin = join(repository, 'packages/cli/bin/nexus.ts')
  const nexus = (settings: Settings): string => {
    const { NODE_COMPILE_CACHE = join(tmpdir(), 'nexus-compile-cache') } = process.env
    const assignments = Object.entries({ ...settings, NODE_COMPILE_CACHE }).map(([name, value]) => `${name}='${value}'`)
    return `exec env -i PATH="$PATH" ${assignments.join(' ')} $given '${process.execPath}' '${bin}' "$@"`
  }
  await writeProgram(
    folder,
    'docker',
    `"compose exec broker nexus "*)
  shift 4
  ${nexus(ofBroker)} ;;
"compose run --rm -T "*)
  shift 4
  given=$(grep '^ADMIN_API_KEY=' .env)
  while [ "$1" = -e ]; do given="$given $2=$(printenv "$2")"; shift 2; done
  case $1 in
  curl) shift; exec curl "$@" ;;
  nexus) shift ;;
  *) exit 127 ;;
  esac
  ${nexus(ofOperator)} ;;
"compose logs --no-log-prefix gateway")
  exec cat .nexus/logs/gateway.log ;;`,
  )
  await writeProgram(
    folder,
    'kubectl',
    `"-n nexus exec deploy/nexus-broker -- nexus "*)
  shift 6
  ${nexus(ofBroker)} ;;`,
  )
}

async function writeProgram(folder: string, name: string, cases: string): Promise<void> {
  const path = join(folder, name)
  await writeFile(path, `#!/bin/sh\ngiven=\ncase "$*" in\n${cases}\nesac\necho "what is ${name} $*?" >&2\nexit 127\n`)
  await chmod(path, 0o755)
}
