import { rm } from 'node:fs/promises'

import type { Detection } from '../../../src/core/function.ts'
import type { AbsolutePath } from '../../../src/core/place.ts'
import { lambda } from '../../../src/emulators/lambda/index.ts'
import { temporaryFolder, type Files } from './harness.ts'

export interface Found extends Detection {
  readonly directory: AbsolutePath
}

/** What a folder of these files holds. */
export async function detect(files: Files, environment: Record<string, string> = {}): Promise<Found> {
  const directory = await temporaryFolder(files)
  try {
    return { ...(await lambda.detect(directory, { environment })), directory }
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
}

export const patterns = ({ routes }: Detection): string[] => routes.map(({ pattern }) => pattern)
export const errors = ({ faults }: Detection): unknown =>
  faults.filter(({ severity }) => severity !== 'warning')
export const warnings = ({ faults }: Detection): string[] =>
  faults.filter(({ severity }) => severity === 'warning').map(({ message }) => message)
export const optionsOf = ({ routes }: Detection, pattern: string): unknown =>
  routes.find((route) => route.pattern === pattern)?.options

export const APP = 'export const handler = async () => 1\n'
