export type { CliIo, CliServices } from './io.ts'
export { runCli } from './run-cli.ts'
