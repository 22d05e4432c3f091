import { writeFile } from 'node:fs/promises'
import type { Command } from 'commander'
import { confirm } from '../confirm.ts'
import { type Context, withExamples } from '../context.ts'
import { CliError } from '../errors.ts'
import { createPaint, printable, writeJson, writeLine } from '../output/text.ts'
import { applyPlan } from './apply-plan.ts'
import { type BrokerProfiles, openBrokerProfiles } from './broker-profiles.ts'
import { exportProfiles } from './export-profiles.ts'
import { type Plan, type Step, makePlan } from './plan.ts'
import { fromWhereTheyStand, readProfiles } from './read-profiles.ts'
import { showPlan, toPlanJson } from './show-plan.ts'

const usualFile = 'nexus-providers.yaml'

type PlanOptions = { readonly file: string; readonly prune?: true; readonly json?: true }

/** `nexus providers plan|apply|export`. */
export function registerProviderCommands(program: Command, context: Context): void {
  const providers = program
    .command('providers')
    .summary('provider profiles as a file')
    .description(
      'Provider profiles as a file: what differs, and how to make it so.\n\nThe file is YAML: providers: and a list of ' +
        "profiles, each with the fields of the Broker's API. ${NAME} is the variable NAME of the environment, $${ is ${ " +
        'itself. These commands need BROKER_BASE_URL and ADMIN_API_KEY (or ADMIN_API_KEY_FILE). Secrets are compared by the ' +
        'Broker, which gives none back.',
    )
  withExamples(providers, [
    'nexus providers export > nexus-providers.yaml',
    'nexus providers plan',
    'ADMIN_API_KEY_FILE=/run/secrets/admin-key nexus providers apply --yes',
  ])
  registerPlan(providers, context)
  registerApply(providers, context)
  registerExport(providers, context)
}

function registerPlan(providers: Command, context: Context): void {
  const plan = addPlanOptions(providers.command('plan'))
    .description(
      'Shows what apply would do: + is new, ~ another value, - taken away, ! what is removed or what connected people ' +
        'notice. Nothing is changed.',
    )
    .option('--detailed-exitcode', 'end with 2 where something would change')
    .action(async (options: PlanOptions & { readonly detailedExitcode?: true }) => {
      const { io } = context
      const made = await planFrom(context, openBrokerProfiles(io), options)
      if (options.json) writeJson(io.stdout, toPlanJson(made))
      else showPlan(io, made)
      if (options.detailedExitcode && made.steps.length > 0) context.exitWith(2)
    })
  withExamples(plan, [
    'nexus providers plan',
    'nexus providers plan --file profiles.yaml --prune',
    'nexus providers plan --detailed-exitcode --json > plan.json',
  ])
}

function registerApply(providers: Command, context: Context): void {
  const apply = addPlanOptions(providers.command('apply'))
    .description(
      'Makes the profiles those of the file, after showing the plan and asking. A profile that somebody changes meanwhile ' +
        'is not overwritten.',
    )
    .option('--yes', 'ask nothing')
    .action(async (options: PlanOptions & { readonly yes?: true }) => applyFile(context, options))
  withExamples(apply, ['nexus providers apply', 'nexus providers apply --file profiles.yaml --prune --yes'])
}

function addPlanOptions(command: Command): Command {
  return command
    .option('--file <path>', 'the file', usualFile)
    .option('--prune', 'remove the profiles that are not in the file; their connections keep working')
    .option('--json', 'print it as JSON')
}

async function planFrom({ io }: Context, broker: BrokerProfiles, { file, prune }: PlanOptions): Promise<Plan> {
  return makePlan(broker, await readProfiles(file, io.env), { prunes: prune === true })
}

async function applyFile(context: Context, options: PlanOptions & { readonly yes?: true }): Promise<void> {
  const { io } = context
  const broker = openBrokerProfiles(io)
  const plan = await planFrom(context, broker, options)
  // with --json the result alone is for stdout
  showPlan(options.json ? { ...io, stdout: io.stderr } : io, plan)
  if (plan.steps.length > 0 && !options.yes && !(await confirm(io, '\nApply these changes?'))) {
    throw new CliError('nothing was changed')
  }
  const paint = createPaint(io.stdout, io.env)
  await applyPlan(broker, plan, ({ step, redirectUri }) => {
    const advice = redirectUri === null ? '' : `; register this redirect URI at the provider: ${printable(redirectUri)}`
    if (!options.json) writeLine(io.stdout, `${paint('green', done[step.action])} ${step.name}${advice}`)
  })
  if (options.json) writeJson(io.stdout, toPlanJson(plan))
}

const done: Readonly<Record<Step['action'], string>> = { create: 'added', update: 'changed', remove: 'removed' }

function registerExport(providers: Command, context: Context): void {
  const exporting = providers
    .command('export')
    .description(
      'Writes the profiles there are as such a file. In the place of a client secret stands a variable: ' +
        '${GOOGLE_CLIENT_SECRET} for the profile google.',
    )
    .option('--file <path>', 'where to; without it stdout')
    .option('--yes', 'write over a file that is there')
    .action(async ({ file, yes }: { readonly file?: string; readonly yes?: true }) => {
      const text = await exportProfiles(openBrokerProfiles(context.io))
      if (file === undefined) context.io.stdout.write(text)
      else await saveText(fromWhereTheyStand(file, context.io.env), text, yes === true)
    })
  withExamples(exporting, ['nexus providers export', 'nexus providers export --file nexus-providers.yaml --yes'])
}

async function saveText(path: string, text: string, overwrites: boolean): Promise<void> {
  try {
    await writeFile(path, text, { flag: overwrites ? 'w' : 'wx' })
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown reason'
    const reason = code === 'EEXIST' ? 'is there already: --yes writes over it' : `cannot be written (${code})`
    throw new CliError(`${path} ${reason}`, { cause: error })
  }
}
