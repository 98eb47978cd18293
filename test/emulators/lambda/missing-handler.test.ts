import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import { InvokeCommand } from '@aws-sdk/client-lambda'
import { describe, expect, test } from 'vitest'

import { json, serveProject } from './api-project.ts'

const event = (path: string): string =>
  `{ A: { Type: HttpApi, Properties: { Path: ${path}, Method: get } }, B: { Type: Unheard } }`

const TEMPLATE = `Resources:
  Good: { Type: AWS::Serverless::Function, Properties: { Handler: a.handler, Runtime: nodejs20.x, Events: ${event('/good')} } }
  Bad:
    Type: AWS::Serverless::Function
    Properties:
      Handler: dist/b.handler
      Runtime: nodejs20.x
      Events: ${event('/bad')}
  Snake: { Type: AWS::Serverless::Function, Properties: { Handler: lib/s.handler, Runtime: python3.12, Events: ${event('/snake')} } }
`

const SERVICE = `provider: { name: aws, runtime: nodejs20.x }
functions:
  Good: { handler: a.handler, events: [ { httpApi: GET /good }, { unheard: 1 } ] }
  Bad:
    handler: dist/b.handler
    events: [ { httpApi: GET /bad } ]
  Snake: { handler: lib/s.handler, runtime: python3.12, events: [ { httpApi: GET /snake } ] }
`

const GOOD = { 'a.js': 'exports.handler = async () => "good"\n' }

describe.each([
  ['template.yaml', TEMPLATE],
  ['serverless.yml', SERVICE],
])('a handler without a file, in %s', (name, text) => {
  test('is an import error of its function alone, which works as soon as the file is there', async () => {
    await using project = await serveProject({}, { ...GOOD, [name]: text })
    const invoke = async (FunctionName: string): Promise<unknown> =>
      json((await project.client.send(new InvokeCommand({ FunctionName }))).Payload)
    const answer = async (path: string): Promise<[number, string]> => {
      const response = await fetch(`${project.app.url}${path}`)
      return [response.status, await response.text()]
    }
    expect(await answer('/good')).toEqual([200, 'good'])
    for (const function_ of ['Bad', 'Snake']) {
      expect(await invoke(function_)).toEqual({
        errorType: 'Runtime.ImportModuleError',
        errorMessage: expect.stringContaining(`${function_}: no file for the handler`) as string,
      })
      const [status, problem] = await answer(`/${function_.toLowerCase()}`)
      expect(status).toBe(500)
      expect(problem).toContain('no file for the handler')
    }
    await mkdir(join(project.directory, 'dist'))
    await writeFile(join(project.directory, 'dist/b.js'), 'exports.handler = async () => "come"\n')
    expect(await invoke('Bad')).toBe('come')
    expect(await answer('/bad')).toEqual([200, 'come'])
    await mkdir(join(project.directory, 'lib'))
    await writeFile(join(project.directory, 'lib/s.py'), 'def handler(event, context):\n    return "come"\n')
    const first = answer('/snake')
    await answer('/good')
    // The build of the first is not done yet.
    expect(await answer('/snake')).toEqual([200, 'come'])
    expect(await first).toEqual([200, 'come'])
    // It was said once for each, however often it was asked for.
    const said = project.events.filter((one) => one.event === 'error')
    expect(said).toHaveLength(2)
    expect(new Set(said.map((one) => one.function))).toEqual(new Set(['Bad', 'Snake']))
  })

  test('is a warning at its line, and hides no other', async () => {
    await using project = await serveProject({}, { ...GOOD, [name]: text })
    const lines = text.split('\n')
    const line = lines.findIndex((one) => one.includes('handler: dist') || one.includes('Handler: dist')) + 1
    const column = (lines[line - 1] ?? '').indexOf('dist') + 1
    const { faults } = project.app.project
    expect(faults.every(({ severity }) => severity === 'warning')).toBe(true)
    expect(faults).toContainEqual(
      expect.objectContaining({
        message: `no file for the handler "dist/b.handler" in ${project.directory}`,
        place: { file: name, line, column },
      }),
    )
    expect(faults.some(({ message }) => /unheard/i.test(message))).toBe(true)
  })
})
