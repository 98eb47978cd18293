import { buildError } from '../../build/bundle.ts'
import type { FlexiError } from '../../core/errors.ts'
import type { Definition } from './definition.ts'
import { filesNear, findHandlerFile } from './handler-file.ts'

/** What was last said of each: who builds it anew whenever another file changes tells it once. */
const said = new WeakMap<Definition, FlexiError>()

/** The handler's file is not there. Names the files that are. The same error again as long as nothing else is to be said. */
export function missingHandler(definition: Definition): FlexiError {
  const { name, options, origin, taskRoot } = definition
  const near = filesNear(options.handler, taskRoot)
  const there =
    near.length === 0
      ? `There is no code beside it in ${taskRoot}.`
      : `There is: ${near.slice(0, 8).join(', ')}.`
  const message = `${name}: no file for the handler "${options.handler}" in ${taskRoot}`
  const before = said.get(definition)
  if (before?.faults[0]?.hint === there) return before
  const error = buildError([{ place: origin, message, hint: there }])
  said.set(definition, error)
  return error
}

/** Whether a build failed for want of the handler's file, and that has come since. */
export function handlerHasCome(definition: Definition, failure: unknown, python: boolean): boolean {
  const { options, taskRoot } = definition
  return (
    failure !== undefined &&
    said.get(definition) === failure &&
    findHandlerFile(options.handler, taskRoot, python) !== undefined
  )
}
