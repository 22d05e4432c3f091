import { relative } from 'node:path'
import { styleText } from 'node:util'
import type { Facts } from './demo-connection.ts'

export type SummaryOptions = {
  readonly facts: Facts
  /** Where the demo provider is. */
  readonly demoProvider: string
  /** A connection made in an earlier run. */
  readonly activeConnection: string | undefined
  readonly dataDir: string
  /** How long the start took. */
  readonly took: string
}

/** What a newcomer reads when everything runs. Coloured only if stdout is a terminal. */
export const describeNexus = ({ facts, demoProvider, activeConnection, dataDir, took }: SummaryOptions): string => {
  const { gateway, broker, connect_url: link, connection_id: id, token_url: tokenUrl, agent_token: token } = facts
  const below = relative(process.cwd(), dataDir)
  const folder = below.startsWith('..') ? dataDir : below
  const earlier =
    activeConnection === undefined
      ? []
      : [
          '',
          'Connected in an earlier run, and still so:',
          '',
          command(`curl ${withToken} ${gateway}/v1/token/${activeConnection}`),
        ]
  return [
    '',
    `${bold('Nexus runs')} ${dim(`(ready in ${took})`)}`,
    '',
    `${bold('1.')} Connect the demo account: open this link and sign in with any name.`,
    '',
    `   ${styleText(['cyan', 'underline'], link, { stream: process.stdout })}`,
    '',
    `${bold('2.')} Be the agent: see that it is connected, fetch its token, refresh it, list the providers.`,
    '',
    command(`export NEXUS_TOKEN=${token}`),
    command(`curl ${withToken} ${gateway}/v1/check-connection/${id}`),
    command(`curl ${withToken} ${tokenUrl}`),
    command(`curl ${withToken} -X POST ${gateway}/v1/refresh/${id}`),
    command(`curl ${withToken} ${gateway}/v1/providers`),
    ...earlier,
    '',
    dim(
      `Broker ${broker} (internal) · demo provider ${demoProvider} · keys ${folder}/keys.env · agent token ${folder}/agent-token · logs ${folder}/logs`,
    ),
    dim(`nexus hub: npm run nexus -- hub --remote ${gateway} --admin-token "$(cat ${folder}/admin-token)" status`),
    dim(`Ctrl-C stops it all; the data stays in ${folder} for the next start.`),
    '',
    '',
  ].join('\n')
}

const withToken = '-H "Authorization: Bearer $NEXUS_TOKEN"'

const command = (line: string): string => `   ${styleText('yellow', line, { stream: process.stdout })}`
const bold = (text: string): string => styleText('bold', text, { stream: process.stdout })
const dim = (text: string): string => styleText('dim', text, { stream: process.stdout })
