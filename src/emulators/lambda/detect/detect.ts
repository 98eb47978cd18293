import { readdir } from 'node:fs/promises'
import { join } from 'node:path'

import type { Detection, DetectOptions } from '../../../core/function.ts'
import type { AbsolutePath, Fault } from '../../../core/place.ts'
import type { Findings } from './findings.ts'

const TEMPLATES = ['template.yaml', 'template.yml', 'template.json']
const SERVERLESS = ['serverless.yml', 'serverless.yaml', 'serverless.json']
const SERVERLESS_CODE = ['serverless.ts', 'serverless.js', 'serverless.mjs', 'serverless.cjs']

/** What a SAM template or serverless.yml in the folder says. Nothing heavy is loaded when there is neither. */
export async function detectFunctions(directory: AbsolutePath, options: DetectOptions): Promise<Detection> {
  const names = new Set(await readdir(directory).catch(() => []))
  const template = TEMPLATES.find((name) => names.has(name))
  const serverless = SERVERLESS.find((name) => names.has(name))
  const found: Findings[] = []
  if (template !== undefined) {
    const { readTemplate } = await import('./sam.ts')
    const findings = await readTemplate(join(directory, template) as AbsolutePath, options)
    if (findings !== undefined) found.push(findings)
  }
  if (serverless !== undefined) {
    const { readServerless } = await import('./serverless.ts')
    found.push(await readServerless(join(directory, serverless) as AbsolutePath, options))
  }
  const code = SERVERLESS_CODE.find((name) => names.has(name))
  return {
    functions: found.flatMap(({ functions }) => functions),
    routes: found.flatMap(({ routes }) => routes),
    files: found.flatMap(({ files }) => files),
    faults: [
      ...found.flatMap(({ faults }) => faults),
      ...(code !== undefined && serverless === undefined ? [codeIsNotRead(join(directory, code))] : []),
    ],
  }
}

function codeIsNotRead(file: string): Fault {
  return {
    place: { file, line: 1, column: 1 },
    message: 'a Serverless configuration in code is not read',
    hint: 'Write it as serverless.yml.',
    severity: 'warning',
  }
}
