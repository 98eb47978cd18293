import { FlexiError } from '../../../core/errors.ts'
import type { ChildExit } from '../../../instances/child.ts'

/** What cannot be started at all ends as a shell would have it: 127 where there is no such file, else 126. What keeps it apart says why. */
export function shellExit(exit: ChildExit): ChildExit {
  if (exit.error === undefined || exit.error instanceof FlexiError) return exit
  const isMissing = 'code' in exit.error && exit.error.code === 'ENOENT'
  return { code: isMissing ? 127 : 126, signal: null, error: undefined }
}
