#!/usr/bin/env node
import { parseArgs } from 'node:util'
import { runService } from '@nexus/service'
import { startGateway } from '../src/main.ts'
import { version } from '../src/version.ts'

const help = `Usage: nexus-gateway [--help] [--version]

The public edge of Nexus: authenticates agents, checks states, forwards to the Broker.
It is configured by environment variables; X_FILE names a file that holds X.

Required   BROKER_BASE_URL  BROKER_API_KEY  STATE_KEY (the Broker's)
Optional   PORT (8090)  HOST (0.0.0.0)  REDIRECT_PATH (/auth/callback, the Broker's)
           REQUIRE_BEARER (true)  ALLOW_ANONYMOUS_AGENTS (false)
           ALLOWED_CIDRS  ALLOWED_HOSTS  TRUSTED_PROXIES  AUTH_RATE_LIMIT_PER_MINUTE (600)
           NEXUS_RATE_LIMIT_ANONYMOUS (60)  NEXUS_RATE_LIMIT_AUTHENTICATED (300)
           NEXUS_RATE_LIMIT_PREMIUM (1000)  CORS_ALLOWED_ORIGINS
           STATE_KEY_RETIRED  REDIS_URL (memory://)  LOG_LEVEL (info)
           SHUTDOWN_GRACE_SECONDS (25)  NODE_ENV
`

const options = { help: { type: 'boolean', short: 'h' }, version: { type: 'boolean', short: 'v' } } as const

function readArguments() {
  try {
    return parseArgs({ options }).values
  } catch (error) {
    process.stderr.write(`nexus-gateway: ${error instanceof Error ? error.message : 'bad arguments'}\n\n${help}`)
    process.exit(2)
  }
}

const asked = readArguments()
if (asked.help === true) process.stdout.write(help)
else if (asked.version === true) process.stdout.write(`${version}\n`)
else await runService({ name: 'nexus-gateway', start: () => startGateway(process.env) })
