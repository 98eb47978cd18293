import { relative } from 'node:path'
import { pathToFileURL } from 'node:url'

import type { MiniflareModuleSource, MiniflareWorker } from '../miniflare.ts'

/** A module as workerd gets it. */
export interface BareModule {
  readonly type: MiniflareModuleSource['type']
  readonly name: string
  readonly contents: string | Uint8Array
}

const MARK = '//# sourceURL='

/** The modules of a worker, the entry first. Those of JavaScript say their own paths, which is what a stack shows. */
export function bareModules(worker: MiniflareWorker): readonly BareModule[] {
  if (!('modules' in worker)) throw new Error('a service worker needs miniflare')
  const { modules, modulesRoot = '/' } = worker
  return modules.map(({ type, path, contents }) => ({
    type,
    name: relative(modulesRoot, path).replaceAll('\\', '/'),
    contents: isScript(type) ? withPath(textOf(contents), path) : contents,
  }))
}

function isScript(type: MiniflareModuleSource['type']): boolean {
  return type === 'ESModule' || type === 'CommonJS'
}

function withPath(script: string, path: string): string {
  return script.includes(MARK) ? script : `${script}\n${MARK}${pathToFileURL(path).href}\n`
}

export function textOf(contents: string | Uint8Array): string {
  return typeof contents === 'string' ? contents : Buffer.from(contents).toString()
}
