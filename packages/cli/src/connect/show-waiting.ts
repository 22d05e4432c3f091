import type { OutputStream } from '../io.ts'

const drawEveryMs = 1000

/** Tells a person at a terminal that something is being waited for, and how long already; disposing of it wipes that out. */
export function showWaiting(stream: OutputStream): Disposable {
  if (stream.isTTY !== true) {
    stream.write('Waiting for the person to connect …\n')
    return { [Symbol.dispose]: () => undefined }
  }
  const began = performance.now()
  const draw = (): void => {
    const seconds = Math.floor((performance.now() - began) / 1000)
    stream.write(
      `\r\u001b[2KWaiting for the person to connect … ${seconds} s (Ctrl-C stops waiting, the link stays good)`,
    )
  }
  draw()
  const timer = setInterval(draw, drawEveryMs)
  return {
    [Symbol.dispose]() {
      clearInterval(timer)
      stream.write('\r\u001b[2K')
    },
  }
}
