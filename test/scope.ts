import { join } from 'node:path'

import type { FunctionScope } from '../src/core/function.ts'
import { silentLogger } from '../src/core/log.ts'
import type { AbsolutePath } from '../src/core/place.ts'

/** What a function of the project in `directory` is given where nobody listens to it. */
export function testScope(directory: string, given: Partial<FunctionScope> = {}): FunctionScope {
  return {
    log: silentLogger,
    app: {},
    mode: 'dev',
    stateDirectory: join(directory, '.flexi') as AbsolutePath,
    threads: 1,
    endpoints: () => ({ origin: undefined }),
    output: () => undefined,
    report: () => undefined,
    ...given,
  }
}
