import { chmod, readFile } from 'node:fs/promises'
import { join } from 'node:path'

import type { FunctionConfig } from '../../../src/core/function.ts'
import { prepareFunction, type Files, type Opened } from './harness.ts'

/** Calls the APIs of extensions; `note` appends a line to the file that the test reads. */
const CLIENT = `
const http = require('node:http'), fs = require('node:fs'), path = require('node:path')
const [host, port] = process.env.AWS_LAMBDA_RUNTIME_API.split(':')
const note = (...parts) => fs.appendFileSync(process.env.NOTES, parts.map((part) => typeof part === 'string' ? part : JSON.stringify(part)).join(' ') + '\\n')
const call = (method, path, headers = {}, body) => new Promise((resolve, reject) => {
  const request = http.request({ host, port, method, path, headers }, (response) => {
    let text = ''
    response.on('data', (chunk) => { text += chunk })
    response.on('end', () => resolve({ status: response.statusCode, headers: response.headers, body: text, json: () => JSON.parse(text) }))
  })
  request.on('error', reject)
  request.end(body === undefined ? undefined : JSON.stringify(body))
})
const name = path.basename(process.argv[1])
let id
const register = async (events, headers = {}) => {
  const answer = await call('POST', '/2020-01-01/extension/register', { 'Lambda-Extension-Name': name, ...headers }, { events })
  id = answer.headers['lambda-extension-identifier']
  return answer
}
const next = async () => (await call('GET', '/2020-01-01/extension/event/next', { 'Lambda-Extension-Identifier': id })).json()
const subscribe = (body, path = '/2022-07-01/telemetry') => call('PUT', path, { 'Lambda-Extension-Identifier': id }, body)
`

/** A program in Node that is an extension. */
export function extension(body: string): string {
  return `#!/usr/bin/env node\n${CLIENT}\nasync function main() {${body}}\nmain()\n`
}

/** The usual one: takes every event, and notes it. */
export const NOTES_ALL = extension(`
  note('registered', (await register(['INVOKE', 'SHUTDOWN'])).json())
  for (;;) {
    const event = await next()
    note(event.eventType, event)
    if (event.eventType === 'SHUTDOWN') process.exit(0)
  }`)

export interface Extended extends Opened {
  /** What extensions noted, a line each. */
  notes(): Promise<readonly string[]>
}

type Config = Partial<FunctionConfig> & { readonly handler: string }

/** A function with a layer of these extensions, by name. */
export async function openExtended(
  files: Files,
  extensions: Readonly<Record<string, string>>,
  config: Config = { handler: 'app.handler' },
): Promise<Extended> {
  const extended = await prepareExtended(files, extensions, config)
  try {
    await extended.build()
  } catch (error) {
    await extended[Symbol.asyncDispose]()
    throw error
  }
  return extended
}

/** The same, not built yet. */
export async function prepareExtended(
  files: Files,
  extensions: Readonly<Record<string, string>>,
  config: Config = { handler: 'app.handler' },
): Promise<Extended> {
  const programs = Object.entries(extensions).map(
    ([name, text]) => [`layer/extensions/${name}`, text] as const,
  )
  const environment: Record<string, string> = { ...config.environment }
  const opened = await prepareFunction(
    { ...files, ...Object.fromEntries(programs) },
    { ...config, environment, options: { layers: ['layer'], ...config.options } },
  )
  const file = join(opened.directory, 'notes')
  environment['NOTES'] = file
  for (const [path] of programs) await chmod(join(opened.directory, path), 0o755)
  if (files['bootstrap'] !== undefined) await chmod(join(opened.directory, 'bootstrap'), 0o755)
  return Object.assign(opened, {
    notes: async () => {
      const text = await readFile(file, 'utf8').catch(() => '')
      return text.split('\n').filter((line) => line !== '')
    },
  })
}
