// Who works in a folder right now, told by files whose names are processes. A name belongs to one process only, so the
// mark of a dead process can be removed by anybody, without a race. Plain JS: bootstrap.mjs runs it on an old Node.
import { execFileSync } from 'node:child_process'
import { mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/**
 * Claims `folder` for this process, unless another living process has it.
 *
 * @param {string} folder Made if it does not exist; holds nothing but marks
 * @returns {{ holder: undefined, release: () => void } | { holder: number }} `holder` is the other's process id
 */
export function claim(folder) {
  mkdirSync(folder, { recursive: true })
  const mine = describe(process.pid) ?? String(process.pid)
  const earlier = findOther(folder, mine)
  if (earlier !== undefined) return { holder: earlier }
  writeFileSync(join(folder, mine), '')
  // of two that came at the same moment, at least the later one sees the other's mark here
  const rival = findOther(folder, mine)
  const release = () => rmSync(join(folder, mine), { force: true })
  if (rival === undefined) return { holder: undefined, release }
  release()
  return { holder: rival }
}

/**
 * Leaves a mark for a child too: if we are killed, the folder stays claimed until the child has ended.
 *
 * @param {string} folder
 * @param {number | undefined} pid
 */
export function shareClaim(folder, pid) {
  const name = pid === undefined ? undefined : describe(pid)
  if (name !== undefined) writeFileSync(join(folder, name), '')
}

/**
 * @param {string} folder
 * @param {string} mine
 */
function findOther(folder, mine) {
  for (const name of readdirSync(folder)) {
    if (name === mine) continue
    const pid = Number(name.split('-', 1)[0])
    const living = describe(pid)
    // one that cannot be told from its predecessor of the same id counts as living
    if (living === name || living === String(pid)) return pid
    rmSync(join(folder, name), { force: true })
  }
  return undefined
}

/**
 * The process id and when it started, since ids are used again; the id alone where the system hides the rest.
 *
 * @param {number} pid
 * @returns {string | undefined} `undefined` if there is no such process (a zombie is none)
 */
function describe(pid) {
  if (!Number.isInteger(pid) || pid <= 0) return undefined
  try {
    process.kill(pid, 0)
  } catch (error) {
    // EPERM: somebody else's process, and alive
    if (!(error instanceof Error && 'code' in error && error.code === 'EPERM')) return undefined
  }
  const { state, start } = readProcess(pid)
  if (state === 'Z') return undefined
  return start === undefined ? String(pid) : `${pid}-${start}`
}

/**
 * @param {number} pid
 * @returns {{ state?: string | undefined, start?: string | undefined }}
 */
function readProcess(pid) {
  try {
    if (process.platform === 'linux') {
      // proc_pid_stat(5): the second field is the name in parentheses and may hold anything; state is 3, start time 22
      const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
      const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
      return { state: fields[0], start: fields[19] }
    }
    const options = /** @type {const} */ ({ encoding: 'utf8', env: { ...process.env, LC_ALL: 'C', TZ: 'UTC' } })
    const [state, ...start] = execFileSync('ps', ['-o', 'state=,lstart=', '-p', String(pid)], options)
      .trim()
      .split(/\s+/)
    return { state: state?.[0], start: String(Date.parse(start.join(' '))) }
  } catch {
    return {}
  }
}
