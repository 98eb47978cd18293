import { execFile } from 'node:child_process'
import { rm } from 'node:fs/promises'
import { promisify } from 'node:util'

/**
 * Removes what a function could write to. It may have made folders so deep that no path leads to the last one: what stayed would be found by
 * whoever has the function's name next.
 */
export async function removeOwned(path: string): Promise<void> {
  try {
    await rm(path, { recursive: true, force: true })
  } catch (error) {
    if (!isTooLong(error)) throw error
    await promisify(execFile)('rm', ['-rf', '--', path])
  }
}

function isTooLong(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENAMETOOLONG'
}
