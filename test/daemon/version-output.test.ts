import { expect, test } from 'vitest'

import { createLogger } from '../../src/core/log.ts'
import { VersionOutput } from '../../src/daemon/functions/version-output.ts'
import type { LogRecord, VersionRecord } from '../../src/daemon/model.ts'
import type { Logs } from '../../src/daemon/runtime.ts'
import { configOf } from './control-harness.ts'

test('a fault that a program made endless is one line that can be read', () => {
  const lines: LogRecord[] = []
  const logs: Logs = {
    append: (line) => void lines.push(line),
    read: () => (async function* () {})(),
    remove: () => Promise.resolve(),
  }
  const record = { name: 'hello', version: 'v1', config: configOf() } as unknown as VersionRecord
  const output = new VersionOutput({
    record: () => record,
    logs,
    log: createLogger(() => undefined),
    clock: () => 1,
  })
  output.fault({ function: 'hello', kind: 'throw', name: 'Error', message: 'x'.repeat(5_000_000) })
  output.line({ stream: 'stdout', level: 'info', text: 'short' })
  expect(lines.map(({ text }) => text.length)).toEqual([256 * 1024 + '… (4737872 more)'.length, 5])
})
