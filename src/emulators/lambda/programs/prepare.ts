import { existsSync } from 'node:fs'
import { join } from 'node:path'

import type { Definition } from '../definition.ts'
import { prepareCustom } from './custom.ts'
import type { Program } from './program.ts'

/**
 * What runs a function that is not Node's.
 * @throws FlexiError FLEXI_BUILD with faults; FLEXI_TOOL_MISSING where the machine lacks what its runtime needs.
 */
export async function prepareProgram(definition: Definition): Promise<Program> {
  switch (languageOf(definition)) {
    case 'java':
      return (await import('./java.ts')).prepareJava(definition)
    case 'ruby':
      return (await import('./ruby.ts')).prepareRuby(definition)
    case 'dotnet':
      return (await import('./dotnet.ts')).prepareDotnet(definition)
    case 'python':
      return (await import('../python-source.ts')).preparePython(definition)
    case 'custom':
      return prepareCustom(definition)
  }
}

type Language = 'java' | 'ruby' | 'dotnet' | 'python' | 'custom'

const LANGUAGES = ['java', 'ruby', 'dotnet', 'python'] as const

/** By the runtime, or without one by what is there. */
function languageOf({ options: { runtime, handler }, taskRoot }: Definition): Language {
  const hasBootstrap = existsSync(join(taskRoot, 'bootstrap'))
  if (runtime === undefined) return hasBootstrap && !handler.endsWith('.py') ? 'custom' : 'python'
  const named = LANGUAGES.find((language) => runtime.startsWith(language)) ?? 'custom'
  // What was published for itself alone needs no dotnet.
  return named === 'dotnet' && hasBootstrap ? 'custom' : named
}
