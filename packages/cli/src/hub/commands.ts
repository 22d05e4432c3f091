import type { Command } from 'commander'
import { type Context, withExamples } from '../context.ts'
import { registerStatusCommand } from './status-command.ts'
import { registerTokenCommands } from './token-commands.ts'
import { registerTokenZoneCommands } from './token-zone-commands.ts'
import { registerZoneCommands } from './zone-commands.ts'

/** `nexus hub`: who may use this Nexus, and what each sees. */
export function registerHubCommands(program: Command, context: Context): void {
  const hub = program
    .command('hub')
    .summary('agent tokens, zones and the state of the hub')
    .description(
      'Agent tokens and zones.\n\nWhere DATABASE_URL is set (in the container of the Broker) these commands work on the ' +
        'database, with the rules and the audit of the Broker. Elsewhere they ask a Gateway, with the token of an ' +
        'administrator or of a holder of x: --remote and --admin-token, or NEXUS_HUB_URL and NEXUS_HUB_ADMIN_TOKEN.',
    )
    .option('--remote <url>', 'a Gateway, even where DATABASE_URL is set; NEXUS_HUB_URL names one where it is not')
    .option(
      '--admin-token <token>',
      'the agent token to ask it with; better in NEXUS_HUB_ADMIN_TOKEN, which ps does not show',
    )
  withExamples(hub, [
    'docker compose exec broker nexus hub token create --name admin --admin',
    'nexus hub token create --name ci-bot --zones eng:rw,ops:r --expires 90d',
    'NEXUS_HUB_ADMIN_TOKEN=sk-… nexus hub status --remote https://nexus.example.com',
  ])
  const token = withExamples(hub.command('token').description('Tokens of agents: make, list, revoke.'), [
    'nexus hub token create --name ci-bot --zone eng',
    'nexus hub token list',
    'nexus hub token revoke ci-bot',
  ])
  registerTokenCommands(token, context)
  registerTokenZoneCommands(token, context)
  registerZoneCommands(hub, context)
  registerStatusCommand(hub, context)
}
