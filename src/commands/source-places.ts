import { readFileSync } from 'node:fs'
import { SourceMap, type SourceMapPayload } from 'node:module'
import { join } from 'node:path'

/**
 * An error of ours whose stack names our source files instead of the bundle they run from.
 * Node maps stacks only of files it loaded itself, and the bundle is not one of them.
 */
export function withSourcePlaces(error: unknown, root: string): unknown {
  const bundle = join(root, 'dist/cli.cjs')
  if (!(error instanceof Error) || error.stack?.includes(bundle) !== true) return error
  const map = readMap(`${bundle}.map`)
  if (map === undefined) return error
  error.stack = error.stack.replaceAll(
    /\(?([^\s()]*cli\.cjs):(\d+):(\d+)\)?/g,
    (found: string, _: string, line: string, column: string) => {
      const { originalSource, originalLine, originalColumn } = {
        ...map.findEntry(Number(line) - 1, Number(column) - 1),
      } as OriginalPlace
      return originalSource === undefined
        ? found
        : `(${originalSource.replace('../', '')}:${originalLine + 1}:${originalColumn + 1})`
    },
  )
  return error
}

/** What `findEntry` returns, or nothing of it. */
interface OriginalPlace {
  readonly originalSource?: string
  readonly originalLine: number
  readonly originalColumn: number
}

function readMap(file: string): SourceMap | undefined {
  try {
    return new SourceMap(JSON.parse(readFileSync(file, 'utf8')) as SourceMapPayload)
  } catch {
    // Without its map a stack is still a stack.
    return undefined
  }
}
