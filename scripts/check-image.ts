// npm run check:image: performs the Dockerfiles in an empty folder, looks at what came out, starts it the way
// docker-compose.yml would, and checks that file too. It needs no container engine.
import { randomBytes } from 'node:crypto'
import { chmodSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { root } from './bootstrap/places.mjs'
import { findClientFaults, findComposeFaults } from './check-image/check-compose.ts'
import { readCompose } from './check-image/compose-file.ts'
import { findContentFaults, findPinFaults } from './check-image/image-contents.ts'
import { performImage } from './check-image/perform-image.ts'
import { tryImages } from './check-image/try-images.ts'

const say = (line: string): void => void process.stdout.write(`✓ ${line}\n`)

const report = (faults: readonly string[], success: string): void => {
  if (faults.length > 0) throw new Error(faults.join('\n'))
  say(success)
}

const key = (): string => randomBytes(32).toString('base64')
const values = {
  POSTGRES_PASSWORD: randomBytes(24).toString('hex'),
  ENCRYPTION_KEY: key(),
  STATE_KEY: key(),
  API_KEY: key(),
  ADMIN_API_KEY: key(),
  BASE_URL: 'http://localhost:8090',
}

const folder = mkdtempSync(join(tmpdir(), 'nexus-images-'))
// the images' user enters here
chmodSync(folder, 0o755)
const clean = (): void => rmSync(folder, { recursive: true, force: true })
const stop = (): never => {
  clean()
  process.exit(130)
}
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, stop)
process.once('disconnect', stop)
process.channel?.unref()

try {
  const compose = readCompose(root)
  report(findComposeFaults(compose, root), 'docker-compose.yml publishes the Gateway alone, and refuses empty secrets')
  const clientFaults = findClientFaults(root, values)
  if (clientFaults === undefined) process.stdout.write('- docker compose is not installed: not asked\n')
  else report(clientFaults, 'docker compose config agrees')

  const build = (name: 'broker' | 'gateway') =>
    performImage({ name, dockerfile: join(root, `Dockerfile.${name}`), context: root, into: join(folder, name) })
  const images = { broker: build('broker'), gateway: build('gateway') }
  say('both Dockerfiles can be performed')
  report(findPinFaults(Object.values(images), root), 'Node and pnpm are the pinned ones')
  report(
    Object.values(images).flatMap((image) => findContentFaults(image, root)),
    'the images hold no package for development and no test',
  )
  await tryImages({ ...images, compose, values, say })
} catch (error) {
  process.stderr.write(`✗ ${error instanceof Error ? error.message : String(error)}\n`)
  process.exitCode = 1
} finally {
  clean()
}
