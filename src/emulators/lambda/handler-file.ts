import { readdirSync, statSync } from 'node:fs'
import { basename, dirname, extname, join, resolve } from 'node:path'

import type { AbsolutePath } from '../../core/place.ts'

/** Where a handler's code is, and what is taken out of it. */
export interface HandlerFile {
  readonly file: AbsolutePath
  readonly exportPath: string
  readonly language: 'javascript' | 'typescript' | 'python'
}

/** In the order in which they win: Node's runtime takes the extensionless file first, and what needs a compiler only when nothing is compiled. */
const EXTENSIONS = ['', '.js', '.mjs', '.cjs', '.ts', '.mts', '.cts', '.tsx', '.jsx'] as const

const LANGUAGES: Readonly<Record<string, HandlerFile['language']>> = {
  '': 'javascript',
  '.js': 'javascript',
  '.mjs': 'javascript',
  '.cjs': 'javascript',
  '.ts': 'typescript',
  '.mts': 'typescript',
  '.cts': 'typescript',
  '.tsx': 'typescript',
  // JSX is no JavaScript that Node runs.
  '.jsx': 'typescript',
  '.py': 'python',
}

/** The export that is called when a handler names a file only. */
export const DEFAULT_EXPORT_PATH = 'handler'

/**
 * `src/hello.handler` → src/hello.js (or .mjs, .cjs, .ts …) and `handler`; `src/hello.ts` → that file and `handler`.
 * The name is split at the first dot of its last part, as the Node runtime does. Undefined when there is no such file.
 */
export function findHandlerFile(handler: string, directory: string, python = false): HandlerFile | undefined {
  const named = extname(handler) !== '' && LANGUAGES[extname(handler)] !== undefined
  const direct = named ? fileAt(resolve(directory, handler)) : undefined
  if (direct !== undefined) return handlerFile(direct, DEFAULT_EXPORT_PATH)
  // `src/hello.ts` names a file; that it is not there does not make `ts` an export.
  if (named) return undefined
  const { module, exportPath } = splitHandler(handler, python)
  if (module === '') return undefined
  const extensions = python ? ['.py'] : EXTENSIONS
  for (const extension of extensions) {
    const file = fileAt(resolve(directory, module + extension))
    if (file !== undefined) return handlerFile(file, exportPath)
  }
  return undefined
}

/** What the files near a handler that is not there are called, for the hint. */
export function filesNear(handler: string, directory: string): readonly string[] {
  const folder = dirname(handler)
  try {
    return readdirSync(resolve(directory, folder))
      .filter(
        (name) => LANGUAGES[extname(name)] !== undefined && extname(name) !== '' && !name.endsWith('.d.ts'),
      )
      .map((name) => join(folder, name))
  } catch {
    return []
  }
}

/** Python's handlers are split at their last dot, and dots before it are folders. */
export function splitHandler(
  handler: string,
  python: boolean,
): { readonly module: string; readonly exportPath: string } {
  if (python) {
    const dot = handler.lastIndexOf('.')
    return {
      module: handler.slice(0, Math.max(0, dot)).replaceAll('.', '/'),
      exportPath: handler.slice(dot + 1),
    }
  }
  const name = basename(handler)
  const dot = name.indexOf('.')
  if (dot < 1) return { module: '', exportPath: '' }
  return { module: join(dirname(handler), name.slice(0, dot)), exportPath: name.slice(dot + 1) }
}

function handlerFile(file: string, exportPath: string): HandlerFile {
  return { file: file as AbsolutePath, exportPath, language: LANGUAGES[extname(file)] ?? 'javascript' }
}

function fileAt(path: string): string | undefined {
  try {
    return statSync(path).isFile() ? path : undefined
  } catch {
    return undefined
  }
}
