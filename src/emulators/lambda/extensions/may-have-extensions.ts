import type { Definition } from '../definition.ts'

/** How programs that register from inside of the function find the API. */
const API = Buffer.from('/2020-01-01/extension')

/** Variables that bring code of somebody else into the runtime; together with a layer that may be an extension. */
const PRELOADS = [
  'AWS_LAMBDA_EXEC_WRAPPER',
  'NODE_OPTIONS',
  'JAVA_TOOL_OPTIONS',
  'RUBYOPT',
  'DOTNET_STARTUP_HOOKS',
]

/**
 * Whether an environment needs the APIs of extensions: a layer brings programs, or code that may register, or the function's own code names
 * the API. Where none of it is so, nothing of them is loaded.
 */
export function mayHaveExtensions({ opt, environment }: Definition, code: readonly Uint8Array[]): boolean {
  if (opt !== undefined && opt.extensions.length > 0) return true
  if (opt !== undefined && PRELOADS.some((name) => environment[name] !== undefined)) return true
  return code.some(({ buffer, byteOffset, byteLength }) =>
    Buffer.from(buffer, byteOffset, byteLength).includes(API),
  )
}
