import { FlexiError } from '../../../core/errors.ts'
import type { AbsolutePath } from '../../../core/place.ts'

/** A program that speaks the Runtime API, and what it was made of. */
export interface Program {
  /** `python3.12`, `provided.al2023`. */
  readonly runtime: string
  /** What really runs: `3.11.7`. */
  readonly version: string
  readonly command: string
  readonly args: readonly string[]
  readonly inputs: readonly AbsolutePath[]
  readonly environment: Readonly<Record<string, string>>
  readonly handler: string
  /** What it needs besides its function's files, where it is kept apart. */
  readonly readable?: readonly string[] | undefined
  /** It is one of ours: it speaks to Unix sockets too. It loads the user's code only when it is told to: such a process can be started before it is needed. */
  readonly waitsToLoad: boolean
}

/** FLEXI_TOOL_MISSING; `hint` is what to type. */
export function missingTool(name: string, what: string, hint: string): FlexiError {
  return new FlexiError('FLEXI_TOOL_MISSING', `${name} needs ${what}`, { hint })
}
