import { basename } from 'node:path'

import { errorMessage, FlexiError } from '../../core/errors.ts'

/** Parts of the dynamic loader's messages, and what to do about each. */
const HINTS: readonly (readonly [RegExp, string])[] = [
  [/undefined symbol: (\S+)/, 'Define $1, or link the library that does (-l).'],
  [/(\S+): cannot open shared object file/, 'Install $1, or put it beside the library.'],
  [
    /version `((?:GLIBC\w*|CXXABI)_[\d.]+)' not found/,
    'It was built for a newer system ($1): build it on this one.',
  ],
  [/Library not loaded: (\S+)/, 'Install $1, or put it beside the library.'],
  [
    /Operation not permitted|failed to map segment/,
    'Keep the project on a file system that allows programs to run.',
  ],
  [
    /its process ended while loading it/,
    'Look at its constructors: what runs when it is loaded, before any request. Build it with -g and try them in a debugger.',
  ],
  [
    /it was not loaded within|it was still being loaded/,
    'Look for an endless loop or a lock in its constructors.',
  ],
  [/static TLS/, 'Build it with -ftls-model=global-dynamic.'],
]

/** Why a library that looked whole could not be loaded, in terms of the file that its author knows. */
export function loadError(
  cause: unknown,
  { library, copy }: { readonly library: string; readonly copy: string },
): FlexiError {
  const detail = errorMessage(cause)
    .replace(/^Failed to load shared library: /, '')
    .replaceAll(`${copy}: `, '')
    .replaceAll(copy, library)
  for (const [pattern, hint] of HINTS) {
    const match = pattern.exec(detail)
    if (match === null) continue
    return failure(library, detail, { hint: hint.replace('$1', match[1] ?? ''), cause })
  }
  return failure(library, detail, { cause })
}

function failure(library: string, detail: string, options: { hint?: string; cause: unknown }): FlexiError {
  return new FlexiError('FLEXI_FUNCTION_INIT', `${basename(library)} cannot be loaded: ${detail}`, options)
}
