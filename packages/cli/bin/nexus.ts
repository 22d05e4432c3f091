#!/usr/bin/env node
import { openBrowser } from '../src/connect/open-browser.ts'
import { runCli } from '../src/index.ts'
import { services } from './services.ts'

const { stdin, stdout, stderr, env } = process

// whoever reads the output may stop at any time (`| head`): what a command does is done all the same
for (const stream of [stdout, stderr]) stream.on('error', () => undefined)

const stop = new AbortController()
process.once('SIGINT', () => stop.abort())

const exitCode = await runCli(
  process.argv.slice(2),
  { stdin, stdout, stderr, env, fetch, signal: stop.signal, openBrowser: (url) => openBrowser(url, env) },
  services,
)
// what hangs would keep the process alive, and a second Ctrl-C finds nobody who listens
if (stop.signal.aborted) process.exit(exitCode)
process.exitCode = exitCode
