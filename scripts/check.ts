// npm run check: what can be said about the code without running it. All of it is said, then the exit code is 1 if any
// part found a fault.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { styleText } from 'node:util'
import { root } from './bootstrap/places.mjs'

type Check = { readonly name: string; readonly tool: string; readonly args: readonly string[]; readonly advice: string }

type Verdict = { readonly check: Check; readonly passed: boolean; readonly output: string; readonly seconds: string }

const checks: readonly Check[] = [
  { name: 'format', tool: 'oxfmt', args: ['--check'], advice: 'npm run format puts it right' },
  {
    name: 'lint',
    tool: 'oxlint',
    args: ['--deny-warnings'],
    advice: 'the rules and their reasons are in .oxlintrc.json',
  },
  { name: 'types', tool: 'tsc', args: ['--noEmit', '--pretty', 'false'], advice: 'tsconfig.base.json says how strict' },
  { name: 'unused code', tool: 'knip', args: ['--no-progress', '--no-config-hints'], advice: 'remove it, or use it' },
]

for (const stream of [process.stdout, process.stderr]) stream.on('error', () => undefined)

const running = new Set<ReturnType<typeof spawn>>()

const runCheck = async (check: Check): Promise<Verdict> => {
  const began = performance.now()
  const child = spawn(join(root, 'node_modules/.bin', check.tool), check.args, {
    cwd: root,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  running.add(child)
  const output: Buffer[] = []
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => output.push(chunk))
  await once(child, 'close')
  running.delete(child)
  const seconds = ((performance.now() - began) / 1000).toFixed(1)
  const verdict = { check, passed: child.exitCode === 0, output: Buffer.concat(output).toString().trim(), seconds }
  say(verdict)
  return verdict
}

const say = ({ check, passed, seconds }: Verdict): void => {
  const sign = passed ? styleText('green', '✓') : styleText('red', '✗')
  process.stdout.write(`${sign} ${check.name} ${styleText('dim', `${seconds} s`)}\n`)
}

const stop = (): never => {
  for (const child of running) child.kill()
  process.exit(130)
}
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, stop)
process.once('disconnect', stop)
process.channel?.unref()

const began = performance.now()
const verdicts = await Promise.all(checks.map(runCheck))
const failures = verdicts.filter(({ passed }) => !passed)
for (const { check, output } of failures) {
  process.stdout.write(`\n${styleText('bold', check.name)} (${check.tool}; ${check.advice})\n${output}\n`)
}
const seconds = ((performance.now() - began) / 1000).toFixed(1)
process.stdout.write(
  `\n${failures.length === 0 ? 'all checks passed' : `${failures.length} of ${checks.length} checks failed`} in ${seconds} s\n`,
)
process.exitCode = failures.length === 0 ? 0 : 1
