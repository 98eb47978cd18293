import { readdir } from 'node:fs/promises'
import { join } from 'node:path'

import type { Detection, DetectOptions } from '../../../core/function.ts'
import type { AbsolutePath, Fault } from '../../../core/place.ts'
import type { RouteRule } from '../../../core/route.ts'
import type { Findings } from './findings.ts'

const TEMPLATES = ['template.yaml', 'template.yml', 'template.json']
const SERVERLESS = ['serverless.yml', 'serverless.yaml', 'serverless.json']
const PLANS = ['plan.json', 'tfplan.json', 'terraform-plan.json']
const SERVERLESS_CODE = ['serverless.ts', 'serverless.js', 'serverless.mjs', 'serverless.cjs']

/** What the files of a folder's tools say. Nothing heavy is loaded when there are none. */
export async function detectFunctions(directory: AbsolutePath, options: DetectOptions): Promise<Detection> {
  const names = new Set(await readdir(directory).catch(() => []))
  const pathOf = (candidates: readonly string[]): AbsolutePath | undefined => {
    const name = candidates.find((one) => names.has(one))
    return name === undefined ? undefined : (join(directory, name) as AbsolutePath)
  }
  const template = pathOf(TEMPLATES)
  const serverless = pathOf(SERVERLESS)
  const assembly = pathOf(['cdk.out'])
  const plan = pathOf(PLANS)
  const read: (Promise<Findings | undefined> | undefined)[] = [
    template === undefined ? undefined : (await import('./sam.ts')).readTemplate(template, options),
    serverless === undefined
      ? undefined
      : (await import('./serverless.ts')).readServerless(serverless, options),
    assembly === undefined
      ? undefined
      : (await import('./cdk.ts')).readCloudAssembly(
          join(assembly, 'manifest.json') as AbsolutePath,
          options,
        ),
    plan === undefined ? undefined : (await import('./terraform.ts')).readPlan(plan),
  ]
  const found = (await Promise.all(read.filter((reading) => reading !== undefined))).filter(
    (findings) => findings !== undefined,
  )
  const code = SERVERLESS_CODE.find((name) => names.has(name))
  return {
    functions: found.flatMap(({ functions }) => functions),
    routes: [...(await webSocketRoutes(found)), ...found.flatMap(({ routes }) => routes)],
    files: found.flatMap(({ files }) => files),
    resources: found.flatMap(({ resources }) => resources),
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

/** Before all others: what upgrades to a WebSocket is no request of theirs. */
async function webSocketRoutes(found: readonly Findings[]): Promise<readonly RouteRule[]> {
  const apis = found.flatMap(({ webSockets }) => webSockets)
  return apis.length === 0 ? [] : (await import('../web-sockets/routes.ts')).webSocketRoutes(apis)
}
