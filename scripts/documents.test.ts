// What the documents say and a program can check: tables that must be complete, names and paths that must exist.
import { randomBytes } from 'node:crypto'
import { existsSync, globSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { expect, test } from 'vitest'
import { readBrokerConfig } from '../services/broker/src/config.ts'
import { readGatewayConfig } from '../services/gateway/src/config.ts'
import { root } from './bootstrap/places.mjs'
import { readCompose } from './check-image/compose-file.ts'

const read = (path: string): string => readFileSync(join(root, path), 'utf8')

/** Cells of the rows of all tables below a heading. */
const tableRows = (document: string, heading: string): readonly (readonly string[])[] => {
  const [, section = ''] = document.split(`\n## ${heading}\n`)
  return (section.split('\n## ')[0] ?? '')
    .split('\n')
    .filter((line) => line.startsWith('| `'))
    .map((line) =>
      line
        .split('|')
        .slice(1, -1)
        .map((cell) => cell.trim()),
    )
}

const unquote = (cell: string): string => cell.replaceAll('`', '')

const makeKey = (): string => randomBytes(32).toString('base64')

const services = {
  broker: {
    read: readBrokerConfig,
    source: 'services/broker/src/config.ts',
    minimal: {
      DATABASE_URL: 'postgresql://localhost/nexus',
      ENCRYPTION_KEY: makeKey(),
      STATE_KEY: makeKey(),
      API_KEY: makeKey(),
      BASE_URL: 'https://nexus.example.com',
    },
  },
  gateway: {
    read: readGatewayConfig,
    source: 'services/gateway/src/config.ts',
    minimal: { BROKER_BASE_URL: 'http://broker:8080', BROKER_API_KEY: makeKey(), STATE_KEY: makeKey() },
  },
}

/** The variables of a service, in the order of its schema. */
const listVariables = (source: string): readonly string[] => [
  ...new Set(Array.from(read(source).matchAll(/^ {2,4}([A-Z][A-Z_]+): /gm), ([, name = '']) => name)),
]

const rows = tableRows(read('README.md'), 'Configuration').map(([variable = '', broker = '', gateway = '']) => ({
  name: unquote(variable),
  broker,
  gateway,
}))

test.each(['broker', 'gateway'] as const)(
  'the table of README.md has every variable of the %s and no other',
  (name) => {
    const described = rows.filter((row) => row[name] !== '').map((row) => row.name)
    expect(described.toSorted()).toEqual([...listVariables(services[name].source)].toSorted())
  },
)

test.each(['broker', 'gateway'] as const)('the table of README.md gives the defaults of the %s', (name) => {
  const described = rows.filter((row) => row[name] !== '').map((row) => [row.name, row[name]] as const)
  expect(described).toEqual(described.map(([variable, cell]) => [variable, expectedCell(name, variable, cell)]))
})

/** What the table should say; lists and secrets have forms of their own, so any default of theirs is believed. */
const expectedCell = (name: 'broker' | 'gateway', variable: string, cell: string): string => {
  const { read: readConfig, minimal } = services[name]
  if (variable in minimal) return refuses(readConfig, { ...minimal, [variable]: '' }, variable) ? 'required' : '–'
  const config: Readonly<Record<string, unknown>> = readConfig(minimal)
  const value = config[variable]
  if (value === undefined) return '–'
  const isPlain = typeof value === 'number' || typeof value === 'boolean' || typeof value === 'string'
  return isPlain ? `\`${value}\`` : cell
}

const refuses = (
  readConfig: (env: Record<string, string>) => unknown,
  env: Record<string, string>,
  variable: string,
): boolean => {
  try {
    readConfig(env)
    return false
  } catch (error) {
    return error instanceof Error && error.message.includes(`${variable}: is required`)
  }
}

test('docker-compose.yml and kubernetes.yaml set only variables that the services read', () => {
  const compose = readCompose(root)
  for (const name of ['broker', 'gateway'] as const) {
    const known = new Set(listVariables(services[name].source))
    const set = Object.keys(compose.services[name]?.environment ?? {})
    expect(set.filter((variable) => !known.has(variable))).toEqual([])
  }
  const everything = new Set(Object.values(services).flatMap(({ source }) => listVariables(source)))
  const set = Array.from(read('docs/kubernetes.yaml').matchAll(/name: ([A-Z][A-Z_]+)\b/g), ([, name = '']) => name)
  expect(set.length).toBeGreaterThan(8)
  expect(set.filter((variable) => !everything.has(variable))).toEqual([])
})

test('docs/dependencies.md has a line for every dependency and for no other', () => {
  const manifests = globSync('{.,{packages,services}/*,scripts/toolchain}/package.json', { cwd: root })
  const wanted = manifests.flatMap((path) => {
    const manifest: Readonly<Record<string, Record<string, string> | undefined>> = JSON.parse(read(path))
    const { dependencies, devDependencies, optionalDependencies } = manifest
    return Object.keys({ ...dependencies, ...devDependencies, ...optionalDependencies })
  })
  const page = read('docs/dependencies.md')
  const listed = ['In production', 'For tests and `npm start`', 'For development']
    .flatMap((heading) => tableRows(page, heading))
    .flatMap(([names = '']) => names.split(',').map((name) => unquote(name).trim()))
  const inToolchain = /^`scripts\/toolchain`.*$/m.exec(page)?.[0] ?? ''
  const [, ...pinned] = Array.from(inToolchain.matchAll(/`([^`]+)`/g), ([, name = '']) => name)
  const external = new Set(wanted.filter((name) => !name.startsWith('@nexus/')))
  expect([...listed, ...pinned].toSorted()).toEqual([...external].toSorted())
})

const documents = globSync(['*.md', 'docs/*.md'], { cwd: root })

test.each(documents)('the links in %s lead to files and headings that exist', (document) => {
  const links = Array.from(read(document).matchAll(/\]\((?!https?:)([^)\s]+)\)/g), ([, link = '']) => link)
  const broken = links.filter((link) => {
    const [path = '', heading] = link.split('#')
    const target = path === '' ? document : join(dirname(document), path)
    if (!existsSync(join(root, target))) return true
    return heading !== undefined && !listHeadings(read(target)).includes(heading)
  })
  expect(broken).toEqual([])
})

const listHeadings = (document: string): readonly string[] =>
  Array.from(document.matchAll(/^#+ (.+)$/gm), ([, title = '']) =>
    title
      .toLowerCase()
      .replaceAll(/[^a-z0-9 _-]/g, '')
      .replaceAll(' ', '-'),
  )

test.each(documents)('the npm scripts named in %s exist', (document) => {
  const manifest: { readonly scripts: Readonly<Record<string, string>> } = JSON.parse(read('package.json'))
  const named = Array.from(read(document).matchAll(/npm (?:run )?([a-z:]+)/g), ([, name = '']) => name)
  const unknown = named.filter((name) => !(name in manifest.scripts) && !['ci', 'install'].includes(name))
  expect(unknown).toEqual([])
})

/** As the services register them. */
const metricNames = new Set(
  globSync('{services,packages}/*/src/**/*.ts', { cwd: root })
    .flatMap((path) => Array.from(read(path).matchAll(/name: '(nexus_[a-z_]+)'/g), ([, name = '']) => name))
    .concat('process_resident_memory_bytes'),
)

const metricsNamedIn = (text: string): readonly string[] =>
  Array.from(text.matchAll(/\b(?:nexus_[a-z_]+|process_[a-z_]+_bytes)(?=[^a-z_]|$)/g), ([name]) =>
    name.replace(/_(bucket|sum|count)$/, ''),
  )

test('the alerts of docs/operations.md and the dashboard name metrics that exist, and the dashboard nearly all', () => {
  const dashboard = read('deploy/grafana/nexus.json')
  const named = [...metricsNamedIn(read('docs/operations.md')), ...metricsNamedIn(dashboard)]
  expect(named.filter((name) => !metricNames.has(name))).toEqual([])
  const shown = new Set(metricsNamedIn(dashboard))
  // the number of open breakers says what the list of providers says
  const unshown = [...metricNames].filter((name) => !shown.has(name) && name !== 'nexus_refresh_open_breakers')
  expect(unshown).toEqual([])
})

test('the dashboard is what Grafana imports: panels with ids and places of their own, each with a query', () => {
  type Panel = {
    readonly id: number
    readonly type: string
    readonly gridPos: object
    readonly targets?: readonly object[]
  }
  const { panels }: { readonly panels: readonly Panel[] } = JSON.parse(read('deploy/grafana/nexus.json'))
  expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length)
  expect(new Set(panels.map(({ gridPos }) => JSON.stringify(gridPos))).size).toBe(panels.length)
  for (const panel of panels) expect(panel.type === 'row' || (panel.targets?.length ?? 0) > 0).toBe(true)
})
