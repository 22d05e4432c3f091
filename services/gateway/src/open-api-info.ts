import type { OpenApiInfo } from '@nexus/service'
import { version } from './version.ts'

export const openApiInfo: OpenApiInfo = {
  title: 'Nexus Gateway',
  version,
  description: 'What agents call: connect accounts of people, and fetch credentials that are valid now.',
  securitySchemes: {
    agentToken: { type: 'http', scheme: 'bearer' },
    agentKey: { type: 'apiKey', name: 'X-Nexus-API-Key', in: 'header' },
    operationsKey: { type: 'apiKey', name: 'X-API-Key', in: 'header' },
  },
}
