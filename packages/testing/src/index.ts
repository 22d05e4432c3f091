export { createBrowser, type Browser, type BrowserOptions, type NavigationStep, type Page } from './browser.ts'
export { captureLogs, type CapturedLogs, type LogLine } from './captured-logs.ts'
export { createManualClock, type ManualClock } from './clock.ts'
export {
  startDemoProvider,
  type DemoProvider,
  type DemoProviderCounts,
  type DemoProviderOptions,
} from './demo-provider/demo-provider.ts'
export { startCluster, type Cluster, type ClusterOptions, type StopMode } from './embedded-postgres.ts'
export { freePort } from './free-port.ts'
export { migrateDatabase } from './migrate-database.ts'
export type { Ending } from './process-leash.ts'
export { startRedis, type TestRedis } from './redis.ts'
export { spawnService, type Readiness, type Service, type ServiceOptions } from './spawn-service.ts'
export { startTcpProxy, type Direction, type PendingCut, type TcpProxy } from './tcp-proxy.ts'
export { startTemporaryCluster } from './temporary-cluster.ts'
export { createTestDatabase, withDatabase, type TestDatabase } from './test-databases.ts'
export { startWebhookReceiver, type WebhookReceiver } from './webhook-receiver.ts'
export * as answers from './scripted-provider/answers.ts'
export type { Behaviour, BehaviourChange } from './scripted-provider/behaviour.ts'
export type { AuthMethod, ScriptedClient } from './scripted-provider/clients.ts'
export type { Answer, Endpoint, Exchange, RecordedRequest, Step } from './scripted-provider/exchange.ts'
export type { GrantCounts } from './scripted-provider/grants.ts'
export type { IdTokenForgery } from './scripted-provider/id-token.ts'
export {
  startScriptedProvider,
  type ScriptedProvider,
  type ScriptedProviderOptions,
} from './scripted-provider/scripted-provider.ts'
export { startApiServer, type ApiHandler, type ApiRequest, type ApiServer } from './api-server/api-server.ts'
export { awsVectorKeys, awsVectors, awsVectorTime, type AwsVector } from './api-server/aws-vectors.ts'
export type { WireRequest } from './api-server/check-aws-signature.ts'
export type { Credential } from './api-server/credential-check.ts'
