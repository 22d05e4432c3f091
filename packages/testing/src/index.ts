export { createBrowser, type Browser, type BrowserOptions, type Page, type Step } from './browser.ts'
export { captureLogs, type CapturedLogs, type LogLine } from './captured-logs.ts'
export { createManualClock, type ManualClock } from './clock.ts'
export { createCookieJar, type Cookie, type CookieJar } from './cookie-jar.ts'
export {
  startDemoProvider,
  type DemoProvider,
  type DemoProviderCounts,
  type DemoProviderOptions,
} from './demo-provider/demo-provider.ts'
export { startCluster, type Cluster, type ClusterOptions, type StopMode } from './embedded-postgres.ts'
export { freePort } from './free-port.ts'
export { parseForms, type HtmlForm } from './html-forms.ts'
export { migrateDatabase } from './migrate-database.ts'
export type { Ending } from './process-leash.ts'
export { startRedis, type TestRedis } from './redis.ts'
export { spawnService, type Readiness, type Service, type ServiceOptions } from './spawn-service.ts'
export { startTcpProxy, type Direction, type PendingCut, type TcpProxy } from './tcp-proxy.ts'
export { startTemporaryCluster } from './temporary-cluster.ts'
export { createTestDatabase, runOnServer, withDatabase, type TestDatabase } from './test-databases.ts'
