// Before the package is packed: compiles src/ into dist/, which is all that is published of it.
import { spawnSync } from 'node:child_process'
import { rmSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const here = fileURLToPath(new URL('.', import.meta.url))

// npm knows neither `catalog:` nor the exports in publishConfig: what it packs could not be installed
if (!process.env['npm_config_user_agent']?.startsWith('pnpm/')) {
  process.stderr.write('@nexus/sdk is packed and published with pnpm: pnpm publish\n')
  process.exit(1)
}

rmSync(`${here}dist`, { recursive: true, force: true })
const compiler = fileURLToPath(new URL('../../node_modules/typescript/bin/tsc', import.meta.url))
const { status } = spawnSync(process.execPath, [compiler, '--project', 'tsconfig.build.json'], {
  cwd: here,
  stdio: 'inherit',
})
process.exit(status ?? 1)
