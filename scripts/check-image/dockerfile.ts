export type Instruction = {
  readonly line: number
  /** In upper case: `COPY`, `RUN`. */
  readonly keyword: string
  /** `--from=install`, by name without the dashes. */
  readonly flags: Readonly<Record<string, string>>
  /** Everything after keyword and flags, lines joined. */
  readonly text: string
}

export type Stage = {
  readonly base: string
  readonly name: string | undefined
  readonly instructions: readonly Instruction[]
}

/** Reads the part of the Dockerfile language that ours use; whoever performs it refuses what it does not know. */
export function parseDockerfile(text: string): readonly Stage[] {
  const stages: { base: string; name: string | undefined; instructions: Instruction[] }[] = []
  for (const instruction of readInstructions(text)) {
    if (instruction.keyword === 'FROM') {
      const [base = '', , name] = splitWords(instruction.text)
      stages.push({ base, name, instructions: [] })
      continue
    }
    const stage = stages.at(-1)
    if (stage === undefined) throw new Error(`line ${instruction.line}: ${instruction.keyword} before any FROM`)
    stage.instructions.push(instruction)
  }
  return stages
}

export function splitWords(text: string): readonly string[] {
  return text.split(/\s+/).filter((word) => word !== '')
}

/** The exec form, `["node", "-e", "…"]`. The shell form would put a shell between the container and Node. */
export function parseExecForm({ line, keyword, text }: Instruction): readonly string[] {
  const list: unknown = text.startsWith('[') ? JSON.parse(text) : undefined
  if (Array.isArray(list) && list.every((item) => typeof item === 'string')) return list
  throw new Error(`line ${line}: ${keyword} must be a JSON list of texts`)
}

function* readInstructions(text: string): Generator<Instruction> {
  let pending = ''
  let startedAt = 0
  for (const [index, raw] of text.split('\n').entries()) {
    const line = raw.trim()
    if (line === '' || line.startsWith('#')) continue
    if (pending === '') startedAt = index + 1
    pending += line.endsWith('\\') ? `${line.slice(0, -1)} ` : line
    if (line.endsWith('\\')) continue
    yield readInstruction(pending, startedAt)
    pending = ''
  }
  if (pending !== '') throw new Error(`line ${startedAt}: the last instruction does not end`)
}

function readInstruction(text: string, line: number): Instruction {
  const [, keyword, rest] = /^([A-Za-z]+)\s+(.*)$/.exec(text) ?? []
  if (keyword === undefined || rest === undefined) throw new Error(`line ${line}: not an instruction: ${text}`)
  const flags: Record<string, string> = {}
  let remaining = rest.trim()
  for (;;) {
    const [whole, name, value] = /^--([a-z-]+)(?:=(\S+))?\s+/.exec(remaining) ?? []
    if (whole === undefined || name === undefined) break
    flags[name] = value ?? ''
    remaining = remaining.slice(whole.length)
  }
  return { line, keyword: keyword.toUpperCase(), flags, text: remaining }
}
