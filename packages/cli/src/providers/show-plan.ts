import type { CliIo } from '../io.ts'
import { type Paint, createPaint, printable, writeLine } from '../output/text.ts'
import type { FieldChange, Sign } from './compare-profiles.ts'
import type { Plan, Step } from './plan.ts'

const longestValue = 200
const secretWords = new Set(['(secret)', '(stored secret)', '(another secret)'])

const signs: Readonly<Record<Step['action'], Sign>> = { create: '+', update: '~', remove: '!' }
const styles = { '+': 'green', '~': 'yellow', '-': 'red', '!': 'red' } as const

/** The plan for people: a line for each profile, below it one for each field. */
export function showPlan({ stdout, env }: Pick<CliIo, 'stdout' | 'env'>, plan: Plan): void {
  const paint = createPaint(stdout, env)
  for (const step of plan.steps) {
    const sign = signs[step.action]
    writeLine(stdout, paint(styles[sign], `${sign} ${step.name}${remark(step)}`))
    for (const change of step.fields) writeLine(stdout, `    ${drawChange(change, paint)}`)
  }
  if (plan.steps.length > 0) writeLine(stdout, '')
  if (plan.unmanaged.length > 0) {
    writeLine(stdout, paint('dim', `Not in the file, left alone (--prune removes them): ${plan.unmanaged.join(', ')}`))
  }
  for (const { profile, zone } of plan.missingZones) {
    const advice = `${profile} names the zone ${printable(zone)}, which does not exist: nobody sees it there.`
    writeLine(stdout, paint('yellow', advice))
  }
  writeLine(stdout, summarise(plan))
}

function remark({ action }: Step): string {
  return action === 'remove' ? ': removed; its connections keep working' : ''
}

function drawChange({ sign, field, before, after }: FieldChange, paint: Paint): string {
  const values = sign === '+' ? show(after) : sign === '-' ? show(before) : `${show(before)} → ${show(after)}`
  return `${paint(styles[sign], `${sign} ${field}`)}: ${values}`
}

function show(value: unknown): string {
  // what stands for a secret is no text of the profile
  if (typeof value === 'string' && secretWords.has(value)) return value
  const text = printable(value === undefined ? 'none' : JSON.stringify(value))
  return text.length <= longestValue ? text : `${text.slice(0, longestValue)}…`
}

function summarise(plan: Plan): string {
  const { add, change, remove, unchanged } = countSteps(plan)
  if (plan.steps.length === 0) return `No changes: ${unchanged} profiles are as the file says.`
  return `Plan: ${add} to add, ${change} to change, ${remove} to remove, ${unchanged} unchanged.`
}

function countSteps({ steps, unchanged }: Plan) {
  const count = (action: Step['action']): number => steps.filter((step) => step.action === action).length
  return { add: count('create'), change: count('update'), remove: count('remove'), unchanged: unchanged.length }
}

/** The plan for scripts. */
export function toPlanJson(plan: Plan) {
  return {
    changes: plan.steps.map((step) => ({
      action: step.action,
      name: step.name,
      id: step.action === 'create' ? null : step.id,
      fields: step.fields,
    })),
    unmanaged: plan.unmanaged,
    missing_zones: plan.missingZones,
    summary: countSteps(plan),
  }
}
