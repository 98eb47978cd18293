import { existsSync } from 'node:fs'
import { join } from 'node:path'

import { buildError } from '../../../build/bundle.ts'
import type { AbsolutePath } from '../../../core/place.ts'
import type { Definition } from '../definition.ts'
import { isExecutable } from '../find-program.ts'
import type { Program } from './program.ts'

/** A custom runtime is an executable called bootstrap; `go1.x` calls it by its handler. @throws FlexiError FLEXI_BUILD. */
export function prepareCustom({ name, options, origin, taskRoot, opt }: Definition): Program {
  const names = options.runtime === 'go1.x' ? [options.handler, 'bootstrap'] : ['bootstrap']
  const [first = 'bootstrap'] = names
  // Lambda looks into the layers when the function itself brings none.
  const places = [
    ...names.map((each) => join(taskRoot, each)),
    ...(opt === undefined ? [] : [join(opt.directory, 'bootstrap')]),
  ]
  const bootstrap = places.find((path) => existsSync(path)) as AbsolutePath | undefined
  if (bootstrap === undefined) {
    const hint = `Build it there; for Go: GOOS=linux go build -o ${first}.`
    throw buildError([{ place: origin, message: `${name}: there is no "${first}" in ${taskRoot}`, hint }])
  }
  if (!isExecutable(bootstrap)) {
    const hint = `Run: chmod +x ${bootstrap}`
    throw buildError([{ place: origin, message: `${name}: ${bootstrap} is not executable`, hint }])
  }
  return {
    runtime: options.runtime ?? 'provided.al2023',
    version: 'local',
    command: bootstrap,
    args: [],
    inputs: [bootstrap],
    environment: {},
    handler: options.handler,
    waitsToLoad: false,
  }
}
