import { readFile } from 'node:fs/promises'

import { FlexiError } from '../core/errors.ts'

const EMPTY_EVENT = '{}'

/**
 * The bytes that `--payload` names, none of them an empty event or a request without a body: `-` is standard input, JSON text is itself, anything else is a file.
 * @throws FlexiError FLEXI_NO_INPUT when it is none of them.
 */
export async function payloadOf(text: string | undefined, request?: object): Promise<Uint8Array> {
  if (text === undefined) return Buffer.from(request === undefined ? EMPTY_EVENT : '')
  if (text === '-') return (await import('node:stream/consumers')).buffer(process.stdin)
  if (isJson(text)) return Buffer.from(text)
  const path = text.startsWith('@') ? text.slice(1) : text
  try {
    return await readFile(path)
  } catch (cause) {
    throw new FlexiError('FLEXI_NO_INPUT', `--payload ${text} is neither JSON nor a file that can be read`, {
      hint: `Quote JSON for the shell: --payload '{"name":"Ada"}'.`,
      cause,
    })
  }
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text)
    return true
  } catch {
    return false
  }
}
