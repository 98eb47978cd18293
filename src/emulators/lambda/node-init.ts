import { ownArn, type Definition } from './definition.ts'
import type { HandlerCode, HostInit } from './protocol.ts'
import { environmentVariables, logGroup } from './variables.ts'

interface InitOptions {
  readonly definition: Definition
  /** `nodejs20.x` */
  readonly runtime: string
  readonly code: HandlerCode
  readonly exportPath: string
}

/** What a Node process is told to begin with. */
export function hostInit({ definition, runtime, code, exportPath }: InitOptions): HostInit {
  const { logStream, variables } = environmentVariables(definition)
  return {
    environment: variables,
    code,
    exportPath,
    handler: definition.options.handler,
    breakAt: breaksAtStart(definition) ? definition.scope.inspectPort : undefined,
    context: {
      functionName: definition.functionName,
      functionVersion: definition.version,
      callbacks: takesCallbacks(runtime),
      memoryLimitInMB: String(definition.memoryMb),
      logGroupName: logGroup(definition.functionName),
      logStreamName: logStream,
      invokedFunctionArn: ownArn(definition),
    },
  }
}

export function breaksAtStart({ scope }: Definition): boolean {
  return scope.breakAtStart === true
}

/** Up to nodejs22.x. */
function takesCallbacks(runtime: string): boolean {
  return Number(/^nodejs(\d+)/.exec(runtime)?.[1] ?? 0) < 24
}
