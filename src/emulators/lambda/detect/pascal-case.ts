import type { ValueMap } from './value.ts'

/** Names as CloudFormation writes them: `batchSize` and `batch_size` → `BatchSize`. */
export function pascalNames(settings: ValueMap): ValueMap {
  return Object.fromEntries(Object.entries(settings).map(([name, value]) => [pascal(name), value]))
}

function pascal(name: string): string {
  return name.replace(/(^|_)([a-z0-9])/g, (_whole, _start, letter: string) => letter.toUpperCase())
}
