import { functionOperations } from './function-operations.ts'
import type { AnswerOf, BodyOf, ParametersOf, QueryOf } from './operation.ts'
import { daemonOperations, userOperations } from './own-operations.ts'
import { yfassOperations } from './yfass-operations.ts'

/** The whole API, by the names its operations have in the OpenAPI document and in the client. */
export const operations = {
  ...yfassOperations,
  ...daemonOperations,
  ...functionOperations,
  ...userOperations,
}

export type Operations = typeof operations
export type OperationId = keyof Operations

/** What a client says and hears, by operation: `Call<'setAlias'>['body']`. */
export interface Call<Id extends OperationId> {
  readonly parameters: ParametersOf<Operations[Id]>
  readonly query: QueryOf<Operations[Id]>
  readonly body: BodyOf<Operations[Id]>
  readonly answer: AnswerOf<Operations[Id]>
}
