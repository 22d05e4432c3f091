import { spawnSync } from 'node:child_process'
import {
  accessSync,
  chownSync,
  constants,
  cpSync,
  globSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
} from 'node:fs'
import { basename, dirname, join, relative, resolve } from 'node:path'
import { type Instruction, type Stage, parseDockerfile, parseExecForm, splitWords } from './dockerfile.ts'
import { createIgnore } from './dockerignore.ts'

/** What a Dockerfile makes, as a folder. Paths inside are absolute as they are in the container. */
export type Image = {
  readonly name: string
  /** The folder that stands for `/`. */
  readonly root: string
  readonly bases: readonly string[]
  readonly env: Readonly<Record<string, string>>
  readonly workdir: string
  /** `1000:1000` */
  readonly user: string
  readonly entrypoint: readonly string[]
  readonly command: readonly string[]
  readonly healthcheck: readonly string[]
  readonly stopSignal: NodeJS.Signals
}

export type PerformOptions = {
  readonly name: string
  readonly dockerfile: string
  /** The folder that is the build context. */
  readonly context: string
  /** An empty folder to build in. */
  readonly into: string
}

/**
 * Performs a Dockerfile's copies and installs in a folder, without a container engine. The base image brings nothing
 * but Node and npm, for which this machine's stand in.
 *
 * @throws Error on an instruction it does not know, so that no step of an image goes unchecked
 */
export function performImage(options: PerformOptions): Image {
  const stages = parseDockerfile(readFileSync(options.dockerfile, 'utf8'))
  const isIgnored = createIgnore(readFileSync(join(options.context, '.dockerignore'), 'utf8'))
  const roots = new Map<string, string>()
  const performed = stages.map((stage, index) => {
    const root = join(options.into, stage.name ?? `stage-${index}`)
    mkdirSync(root, { recursive: true })
    const image = performStage(stage, { name: options.name, root, context: options.context, isIgnored, roots })
    if (stage.name !== undefined) roots.set(stage.name, root)
    return image
  })
  const last = performed.at(-1)
  if (last === undefined) throw new Error(`${options.dockerfile} has no stage`)
  return { ...last, bases: stages.map(({ base }) => base) }
}

type StageContext = {
  readonly name: string
  readonly root: string
  readonly context: string
  readonly isIgnored: (path: string) => boolean
  /** Of the stages before, by name. */
  readonly roots: ReadonlyMap<string, string>
}

type Draft = { -readonly [K in keyof Image]: Image[K] }

// they say something about the image, and put nothing into it
const remarks = new Set(['LABEL', 'ARG', 'EXPOSE'])

function performStage(stage: Stage, where: StageContext): Image {
  const image: Draft = {
    name: where.name,
    root: where.root,
    bases: [],
    env: {},
    workdir: '/',
    user: 'root',
    entrypoint: [],
    command: [],
    healthcheck: [],
    stopSignal: 'SIGTERM',
  }
  for (const instruction of stage.instructions) {
    try {
      performInstruction(instruction, image, where)
    } catch (error) {
      throw new Error(`${where.name}, line ${instruction.line}: ${describe(error)}`, { cause: error })
    }
  }
  return image
}

function performInstruction(instruction: Instruction, image: Draft, where: StageContext): void {
  const { keyword, text } = instruction
  switch (keyword) {
    case 'WORKDIR':
      image.workdir = resolve(image.workdir, text)
      mkdirSync(join(image.root, image.workdir), { recursive: true })
      return
    case 'ENV':
      image.env = { ...image.env, ...readAssignments(text) }
      return
    case 'USER':
      image.user = text
      return
    case 'STOPSIGNAL':
      if (text !== 'SIGTERM') throw new Error('the services drain on SIGTERM')
      image.stopSignal = text
      return
    case 'ENTRYPOINT':
      image.entrypoint = parseExecForm(instruction)
      return
    case 'CMD':
      image.command = parseExecForm(instruction)
      return
    case 'HEALTHCHECK':
      image.healthcheck = parseExecForm({ ...instruction, text: text.replace(/^CMD\s+/, '') })
      return
    case 'COPY':
      copy(instruction, image, where)
      return
    case 'RUN':
      run(instruction, image)
      return
    default:
      if (!remarks.has(keyword)) throw new Error(`this script does not know how to perform ${keyword}`)
  }
}

function readAssignments(text: string): Readonly<Record<string, string>> {
  return Object.fromEntries(
    splitWords(text).map((word): [string, string] => {
      const [, name, value] = /^([A-Za-z_]\w*)=([^"'$\\]*)$/.exec(word) ?? []
      if (name === undefined || value === undefined) throw new Error(`this script cannot read ENV ${word}`)
      return [name, value]
    }),
  )
}

function copy({ flags, text }: Instruction, image: Draft, where: StageContext): void {
  const { from, ...others } = flags
  if (Object.keys(others).length > 0) throw new Error(`this script does not know COPY --${Object.keys(others).join()}`)
  const words = splitWords(text)
  const destination = words.at(-1) ?? ''
  const target = join(image.root, resolve(image.workdir, destination))
  if (from !== undefined) {
    const source = where.roots.get(from)
    if (source === undefined) throw new Error(`there is no stage ${from} before this one`)
    for (const path of words.slice(0, -1)) {
      // symbolic links as they are: pnpm's lead from package to package
      cpSync(join(source, path), target, { recursive: true, verbatimSymlinks: true })
    }
    return
  }
  for (const pattern of words.slice(0, -1)) {
    const copied = copyFromContext(pattern, { target, isFolder: destination.endsWith('/') }, where)
    // as a builder would
    if (copied === 0) throw new Error(`COPY finds nothing at ${pattern}: is it missing, or kept out by .dockerignore?`)
  }
}

function copyFromContext(
  pattern: string,
  { target, isFolder }: { readonly target: string; readonly isFolder: boolean },
  { context, isIgnored }: StageContext,
): number {
  let copied = 0
  for (const match of globSync(pattern, { cwd: context })) {
    const source = join(context, match)
    const isTree = statSync(source).isDirectory()
    const files = isTree ? listFiles(source) : [source]
    for (const file of files.filter((path) => !isIgnored(relative(context, path)))) {
      const inside = isTree ? relative(source, file) : isFolder ? basename(file) : ''
      mkdirSync(dirname(join(target, inside)), { recursive: true })
      cpSync(file, join(target, inside), { verbatimSymlinks: true })
      copied += 1
    }
  }
  return copied
}

export function listFiles(folder: string): readonly string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => !entry.isDirectory())
    .map((entry) => join(entry.parentPath, entry.name))
}

// what installs, and what loads the code once to keep it compiled
const performable = /^(?:(?:npm ci|\/\S+\/pnpm install) |node (?:services|packages)\/\S+\.ts --help$)/
// takes away what the base image brought, which is not here
const trimsTheBase = /^rm -rf(?: \/(?:usr\/local|opt)\/\S+)+$/

// a folder for a volume
const makesFolder = /^install -d -o (\d+) -g (\d+) -m 0700 (\/\w+)$/

// a program of ours, for whoever runs a command in the container
const linksProgram = /^ln -s (\/app\/\S+) (\/usr\/local\/bin\/[a-z-]+)$/

function run({ flags, text }: Instruction, image: Draft): void {
  if (trimsTheBase.test(text)) return
  const [, program, link] = linksProgram.exec(text) ?? []
  if (program !== undefined && link !== undefined) {
    mkdirSync(dirname(join(image.root, link)), { recursive: true })
    accessSync(join(image.root, program), constants.X_OK)
    symlinkSync(join(image.root, program), join(image.root, link))
    return
  }
  const [, uid, gid, folder] = makesFolder.exec(text) ?? []
  if (folder !== undefined) {
    mkdirSync(join(image.root, folder), { mode: 0o700 })
    // whoever may not give it away runs the image as themselves
    if (process.getuid?.() === 0) chownSync(join(image.root, folder), Number(uid), Number(gid))
    return
  }
  if (!performable.test(text) || Object.keys(flags).length > 0) {
    throw new Error(`this script does not know how to perform RUN ${text}`)
  }
  const command = text.replaceAll(/(?<=^|\s)\/(?=\S)/g, `${image.root}/`)
  const done = spawnSync('/bin/sh', ['-ec', command], {
    cwd: join(image.root, image.workdir),
    // no NODE_ENV of ours: only what the image sets may shape it
    env: { ...process.env, NODE_ENV: undefined, CI: '1', ...envInside(image) },
    stdio: ['ignore', 'pipe', 'pipe'],
    encoding: 'utf8',
  })
  if (done.status !== 0) throw new Error(`RUN ${text} failed:\n${done.stdout}${done.stderr}`)
}

/** The image's variables, with its own paths where they are on this machine. */
export function envInside({ root, env }: Pick<Image, 'root' | 'env'>): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.entries(env).map(([name, value]) => [name, value.replace(/^\//, `${root}/`)]))
}

function describe(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
