import { buildError } from '../../build/bundle.ts'
import type { FlexiError } from '../../core/errors.ts'
import type { Definition } from './definition.ts'
import { filesNear } from './handler-file.ts'

/** The handler's file is not there. Names the files that are. */
export function missingHandler({ name, options, origin, taskRoot }: Definition): FlexiError {
  const near = filesNear(options.handler, taskRoot)
  const there =
    near.length === 0
      ? `There is no code beside it in ${taskRoot}.`
      : `There is: ${near.slice(0, 8).join(', ')}.`
  const message = `${name}: no file for the handler "${options.handler}" in ${taskRoot}`
  return buildError([{ place: origin, message, hint: there }])
}
