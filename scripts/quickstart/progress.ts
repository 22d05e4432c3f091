import { styleText } from 'node:util'
import { StopRequested } from './stop-request.ts'

/** Seconds since the process began, and what it is doing, on stderr. */
export type Progress = {
  /** Runs one step, and says how long it took or that it failed. */
  readonly step: <T>(name: string, work: () => Promise<T>) => Promise<T>
  readonly say: (text: string) => void
  readonly elapsed: () => string
}

export const createProgress = (): Progress => {
  const began = performance.now()
  const step: Progress['step'] = async (name, work) => {
    const stepBegan = performance.now()
    try {
      const result = await work()
      say(`  ${paint('green', '✓')} ${name} ${paint('dim', seconds(stepBegan))}`)
      return result
    } catch (error) {
      if (!(error instanceof StopRequested)) say(`  ${paint('red', '✗')} ${name} ${paint('dim', seconds(stepBegan))}`)
      throw error
    }
  }
  return { step, say, elapsed: () => seconds(began) }
}

const say = (text: string): void => void process.stderr.write(`${text}\n`)

const seconds = (since: number): string => `${((performance.now() - since) / 1000).toFixed(1)} s`

const paint = (format: Parameters<typeof styleText>[0], text: string): string =>
  styleText(format, text, { stream: process.stderr })
