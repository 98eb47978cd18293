/** A request that one of the API's operations is meant by. */
export interface MatchedOperation {
  readonly name: OperationName
  /** What stands in the path, decoded, in order. */
  readonly parameters: readonly string[]
}

/** Method and path of Lambda's operations, by name; `{}` is one segment. The newest kinds of resources are left out. */
const OPERATIONS = {
  Invoke: 'POST /2015-03-31/functions/{}/invocations',
  InvokeAsync: 'POST /2014-11-13/functions/{}/invoke-async',
  InvokeWithResponseStream: 'POST /2021-11-15/functions/{}/response-streaming-invocations',
  ListFunctions: 'GET /2015-03-31/functions',
  CreateFunction: 'POST /2015-03-31/functions',
  GetFunction: 'GET /2015-03-31/functions/{}',
  DeleteFunction: 'DELETE /2015-03-31/functions/{}',
  GetFunctionConfiguration: 'GET /2015-03-31/functions/{}/configuration',
  UpdateFunctionConfiguration: 'PUT /2015-03-31/functions/{}/configuration',
  UpdateFunctionCode: 'PUT /2015-03-31/functions/{}/code',
  ListVersionsByFunction: 'GET /2015-03-31/functions/{}/versions',
  PublishVersion: 'POST /2015-03-31/functions/{}/versions',
  ListAliases: 'GET /2015-03-31/functions/{}/aliases',
  CreateAlias: 'POST /2015-03-31/functions/{}/aliases',
  GetAlias: 'GET /2015-03-31/functions/{}/aliases/{}',
  UpdateAlias: 'PUT /2015-03-31/functions/{}/aliases/{}',
  DeleteAlias: 'DELETE /2015-03-31/functions/{}/aliases/{}',
  GetPolicy: 'GET /2015-03-31/functions/{}/policy',
  AddPermission: 'POST /2015-03-31/functions/{}/policy',
  RemovePermission: 'DELETE /2015-03-31/functions/{}/policy/{}',
  GetFunctionUrlConfig: 'GET /2021-10-31/functions/{}/url',
  CreateFunctionUrlConfig: 'POST /2021-10-31/functions/{}/url',
  UpdateFunctionUrlConfig: 'PUT /2021-10-31/functions/{}/url',
  DeleteFunctionUrlConfig: 'DELETE /2021-10-31/functions/{}/url',
  ListFunctionUrlConfigs: 'GET /2021-10-31/functions/{}/urls',
  GetFunctionConcurrency: 'GET /2019-09-30/functions/{}/concurrency',
  PutFunctionConcurrency: 'PUT /2017-10-31/functions/{}/concurrency',
  DeleteFunctionConcurrency: 'DELETE /2017-10-31/functions/{}/concurrency',
  GetProvisionedConcurrencyConfig: 'GET /2019-09-30/functions/{}/provisioned-concurrency',
  PutProvisionedConcurrencyConfig: 'PUT /2019-09-30/functions/{}/provisioned-concurrency',
  DeleteProvisionedConcurrencyConfig: 'DELETE /2019-09-30/functions/{}/provisioned-concurrency',
  GetFunctionEventInvokeConfig: 'GET /2019-09-25/functions/{}/event-invoke-config',
  PutFunctionEventInvokeConfig: 'PUT /2019-09-25/functions/{}/event-invoke-config',
  UpdateFunctionEventInvokeConfig: 'POST /2019-09-25/functions/{}/event-invoke-config',
  DeleteFunctionEventInvokeConfig: 'DELETE /2019-09-25/functions/{}/event-invoke-config',
  ListFunctionEventInvokeConfigs: 'GET /2019-09-25/functions/{}/event-invoke-config/list',
  GetFunctionCodeSigningConfig: 'GET /2020-06-30/functions/{}/code-signing-config',
  GetFunctionRecursionConfig: 'GET /2024-08-31/functions/{}/recursion-config',
  PutFunctionRecursionConfig: 'PUT /2024-08-31/functions/{}/recursion-config',
  GetRuntimeManagementConfig: 'GET /2021-07-20/functions/{}/runtime-management-config',
  PutRuntimeManagementConfig: 'PUT /2021-07-20/functions/{}/runtime-management-config',
  ListEventSourceMappings: 'GET /2015-03-31/event-source-mappings',
  CreateEventSourceMapping: 'POST /2015-03-31/event-source-mappings',
  GetEventSourceMapping: 'GET /2015-03-31/event-source-mappings/{}',
  UpdateEventSourceMapping: 'PUT /2015-03-31/event-source-mappings/{}',
  DeleteEventSourceMapping: 'DELETE /2015-03-31/event-source-mappings/{}',
  GetAccountSettings: 'GET /2016-08-19/account-settings',
  ListTags: 'GET /2017-03-31/tags/{}',
  TagResource: 'POST /2017-03-31/tags/{}',
  UntagResource: 'DELETE /2017-03-31/tags/{}',
  ListLayers: 'GET /2018-10-31/layers',
  ListLayerVersions: 'GET /2018-10-31/layers/{}/versions',
  PublishLayerVersion: 'POST /2018-10-31/layers/{}/versions',
  GetLayerVersion: 'GET /2018-10-31/layers/{}/versions/{}',
  DeleteLayerVersion: 'DELETE /2018-10-31/layers/{}/versions/{}',
} as const

export type OperationName = keyof typeof OPERATIONS

/** Operations that are answered with something else than 200. */
export const STATUS: Partial<Record<OperationName, number>> = {
  CreateFunction: 201,
  PublishVersion: 201,
  CreateAlias: 201,
  AddPermission: 201,
  CreateFunctionUrlConfig: 201,
  PublishLayerVersion: 201,
  PutProvisionedConcurrencyConfig: 202,
  CreateEventSourceMapping: 202,
  UpdateEventSourceMapping: 202,
  DeleteEventSourceMapping: 202,
  DeleteFunction: 204,
  DeleteAlias: 204,
  DeleteFunctionUrlConfig: 204,
  DeleteFunctionConcurrency: 204,
  DeleteProvisionedConcurrencyConfig: 204,
  DeleteFunctionEventInvokeConfig: 204,
  DeleteLayerVersion: 204,
  RemovePermission: 204,
  TagResource: 204,
  UntagResource: 204,
}

const PATTERNS = Object.entries(OPERATIONS).map(([name, line]) => ({
  name: name as OperationName,
  pattern: new RegExp(`^${line.replaceAll('{}', '([^/]+)')}/?$`),
}))

/** Undefined for a request that means none of them. `path` is as sent, without query. */
export function matchOperation(method: string, path: string): MatchedOperation | undefined {
  const line = `${method} ${path}`
  for (const { name, pattern } of PATTERNS) {
    const match = pattern.exec(line)
    if (match !== null) return { name, parameters: match.slice(1).map(decoded) }
  }
  return undefined
}

function decoded(segment: string): string {
  try {
    return decodeURIComponent(segment)
  } catch {
    return segment
  }
}
