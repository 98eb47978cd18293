import { readFile } from 'node:fs/promises'
import { join } from 'node:path'

import type { AbsolutePath } from '../../../core/place.ts'

/** What `sam` would be told on its command line. */
export interface SamConfig {
  readonly file: AbsolutePath | undefined
  readonly parameters: ReadonlyMap<string, string>
  readonly stackName: string | undefined
  readonly region: string | undefined
}

const KEY = /^\s*(parameter_overrides|stack_name|region)\s*=\s*(.*)$/
/** Later ones know better: what a function is run with here beats what it is deployed with. */
const COMMANDS = ['global', 'deploy', 'local_invoke', 'local_start_api']

/** The `default` environment of samconfig.toml, as far as a template refers to it. Lists may go over several lines. */
export async function readSamConfig(directory: string): Promise<SamConfig> {
  const file = join(directory, 'samconfig.toml') as AbsolutePath
  const text = await readFile(file, 'utf8').catch(() => undefined)
  const found = new Map<string, string>()
  for (const command of COMMANDS) {
    for (const [key, value] of settingsOf(text ?? '', command)) found.set(key, value)
  }
  return {
    file: text === undefined ? undefined : file,
    parameters: overridesOf(found.get('parameter_overrides') ?? ''),
    stackName: unquoted(found.get('stack_name')),
    region: unquoted(found.get('region')),
  }
}

function settingsOf(text: string, command: string): Map<string, string> {
  const settings = new Map<string, string>()
  let openList: string | undefined
  for (const line of sectionOf(text, `default.${command}.parameters`)) {
    const [, key, value] = KEY.exec(line) ?? []
    const name = openList ?? key
    if (name === undefined) continue
    const whole = openList === undefined ? (value ?? '') : `${settings.get(name) ?? ''} ${line}`
    settings.set(name, whole.trim())
    openList = whole.trim().startsWith('[') && !/\]\s*(#.*)?$/.test(whole) ? name : undefined
  }
  return settings
}

function sectionOf(text: string, name: string): string[] {
  let inSection = false
  return text.split(/\r?\n/).filter((line) => {
    const section = /^\s*\[([\w.]+)\]\s*(#.*)?$/.exec(line)
    if (section !== null) inSection = section[1] === name
    return inSection
  })
}

function unquoted(text: string | undefined): string | undefined {
  return text === undefined ? undefined : (/^(["'])(.*?)\1/.exec(text)?.[2] ?? text)
}

const PAIR =
  /(?:ParameterKey=([\w]+),ParameterValue=|([A-Za-z]\w*)=)(\\?"(?:[^"\\]|\\[^"])*\\?"|'[^']*'|[^\s"',\]]+)/g

/** `"A=1 B=\"two words\""`, `["A=1", "B=2"]`, and the long form with ParameterKey. */
function overridesOf(text: string): ReadonlyMap<string, string> {
  const bare = text.trim().startsWith('[') ? text : (unquotedToml(text) ?? '')
  const pairs = [...bare.matchAll(PAIR)].map(
    ([, long, short, value = '']) => [long ?? short ?? '', value.replace(/^\\?["']|\\?["']$/g, '')] as const,
  )
  return new Map(pairs)
}

function unquotedToml(text: string): string | undefined {
  return text.startsWith('"') ? text.replace(/^"|"\s*(#.*)?$/g, '') : unquoted(text)
}
