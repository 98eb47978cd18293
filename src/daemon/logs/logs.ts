import { join } from 'node:path'

import type { Logger } from '../../core/log.ts'
import type { AbsolutePath } from '../../core/place.ts'
import type { Logs } from '../runtime.ts'
import { FunctionLog } from './function-log.ts'

/** Bytes that the log of one function may take on disk. */
const FUNCTION_BYTES_MAX = 16 * 1024 * 1024

export interface LogsOptions {
  /** A folder a function is made in it. */
  readonly directory: AbsolutePath
  /** Default 16 MiB. */
  readonly functionBytesMax?: number | undefined
  readonly log: Logger
}

export interface OpenLogs extends Logs, AsyncDisposable {}

/** Opens the logs of all functions. Nothing is read or made before it is needed. Disposing writes what waits. */
export function openLogs({ directory, functionBytesMax = FUNCTION_BYTES_MAX, log }: LogsOptions): OpenLogs {
  const logs = new Map<string, FunctionLog>()
  const logOf = (name: string): FunctionLog => {
    const known = logs.get(name)
    if (known !== undefined) return known
    const options = {
      name,
      directory: join(directory, name) as AbsolutePath,
      bytesMax: functionBytesMax,
      log,
    }
    const opened = new FunctionLog(options)
    logs.set(name, opened)
    return opened
  }
  return {
    append: (record) => logOf(record.function).append(record),
    read: (filter) => logOf(filter.function).read(filter),
    async remove(name) {
      await logOf(name).remove()
      logs.delete(name)
    },
    async [Symbol.asyncDispose]() {
      await Promise.all([...logs.values()].map((one) => one.flush()))
    },
  }
}
