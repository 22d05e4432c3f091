export { parseCidrs } from './cidrs.ts'
export type { Cidrs } from './cidrs.ts'
export {
  booleanFlag,
  cidrList,
  commaList,
  host,
  httpOrigin,
  httpUrl,
  logLevel,
  nodeEnv,
  originList,
  port,
  positiveInteger,
  text,
} from './fields.ts'
export { ConfigError, readConfig } from './read-config.ts'
export type { ReadConfigOptions } from './read-config.ts'
export { Secret } from './secret.ts'
export {
  apiKey,
  apiKeyList,
  keyList32,
  optionalKey32,
  requiredKey32,
  secretUrl,
  webhookSecretList,
} from './secret-fields.ts'
