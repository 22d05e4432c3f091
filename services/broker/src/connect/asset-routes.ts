import { noQuery } from '@nexus/contracts'
import {
  AppError,
  type ZodApp,
  brandStylesheetPath,
  logoPath,
  pageScript,
  pageScriptPath,
  pageStylesheet,
  pageStylesheetPath,
} from '@nexus/service'
import type { FastifyReply } from 'fastify'
import type { FindLogo } from './logo.ts'

export type AssetRouteDeps = {
  /** The operator's colour as CSS; empty without one. */
  readonly brandStylesheet: string
  readonly findLogo: FindLogo
}

const css = 'text/css; charset=utf-8'
const script = 'text/javascript; charset=utf-8'

/** An SVG that is opened by itself is a document: it may style itself and do nothing else. */
const logoPolicy = "default-src 'none'; style-src 'unsafe-inline'; sandbox"

/**
 * What the pages of both services load. It holds nothing about anybody, so browsers may keep it: for minutes only, since
 * the markup of a newer version wants its own style.
 */
export function registerAssetRoutes(app: ZodApp, deps: AssetRouteDeps): void {
  app.get(pageStylesheetPath, describe('Style of the pages'), async (_request, reply) =>
    sendAsset(reply, css, pageStylesheet),
  )
  app.get(pageScriptPath, describe('Script of the pages, which work without it'), async (_request, reply) =>
    sendAsset(reply, script, pageScript),
  )
  app.get(brandStylesheetPath, describe("The operator's colour"), async (_request, reply) =>
    sendAsset(reply, css, deps.brandStylesheet),
  )
  app.get(logoPath, describe("The operator's logo"), async (_request, reply) => {
    const logo = deps.findLogo()
    if (logo === undefined) throw new AppError('route_not_found', 'There is no logo')
    return sendAsset(reply.header('content-security-policy', logoPolicy), logo.type, logo.bytes)
  })
}

function describe(summary: string) {
  return { config: { public: true }, schema: { tags: ['browser'], summary, querystring: noQuery } }
}

function sendAsset(reply: FastifyReply, type: string, content: string | Buffer): FastifyReply {
  return reply.type(type).header('cache-control', 'public, max-age=300').send(content)
}
