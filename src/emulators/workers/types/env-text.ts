import { FlexiError } from '../../../core/errors.ts'
import type { Config, RawConfig } from '../configuration.ts'
import { storedClasses } from '../durable-objects.ts'
import { nodeMode } from '../node-compat.ts'
import { importSpecifier, type EntryModule } from './entry-module.ts'
import { members, type Member, type MemberContext } from './members.ts'

export interface EnvOptions {
  /** `Env`, or what a person calls it. */
  readonly interfaceName: string
  readonly config: Config
  readonly raw: RawConfig
  /** The environment that was asked for; without one all are told. */
  readonly env: string | undefined
  /** Names of secrets of an environment, of the top level when undefined. */
  readonly secretsOf: (env: string | undefined) => readonly string[]
  readonly context: Omit<MemberContext, 'secrets'>
}

interface OptionalMember extends Member {
  readonly optional?: boolean | undefined
}

/** Declarations of what the program finds in `env`. @throws FlexiError FLEXI_USAGE, FLEXI_CONFIG for names that cannot be. */
export function envText(options: EnvOptions): string {
  const { raw, env } = options
  const envs = Object.entries(raw.env ?? {})
  const of = (name: string | undefined): readonly Member[] =>
    members(name === undefined ? raw : inherited(raw, name), {
      ...options.context,
      secrets: options.secretsOf(name),
    })
  if (env !== undefined || envs.length === 0) return declarations(options, { all: of(env), named: [] })
  const named = envs.map(([name]) => ({ name: interfaceOf(name), list: of(name) }))
  refuseRepeated(named.map(({ name }) => name))
  return declarations(options, { all: union([...named.map(({ list }) => list), of(undefined)]), named })
}

/** What an environment has; assets are the only bindings that it has from the top level. */
function inherited(raw: RawConfig, name: string): RawConfig {
  const own = raw.env?.[name] ?? {}
  return own.assets === undefined && raw.assets !== undefined ? { ...own, assets: raw.assets } : own
}

/** `my-env` → `MyEnvEnv`; `staging` → `StagingEnv` */
function interfaceOf(env: string): string {
  const pascal = env
    .split(/[-_]/)
    .map((word) => word.charAt(0).toUpperCase() + word.slice(1).toLowerCase())
    .join('')
  return pascal.endsWith('Env') ? pascal : `${pascal}Env`
}

function refuseRepeated(names: readonly string[]): void {
  const bad = names.find((name, index) => name === 'Env' || names.indexOf(name) !== index)
  if (bad === undefined) return
  throw new FlexiError('FLEXI_CONFIG', `the interface ${bad} would stand for two environments`, {
    hint: 'Rename one of the environments, or name one with --env.',
  })
}

/** What is not in every environment is optional; what differs is a union. */
function union(lists: readonly (readonly Member[])[]): readonly OptionalMember[] {
  const names = [...new Set(lists.flat().map(({ name }) => name))]
  return names.map((name) => {
    const found = lists.map((list) => list.find((member) => member.name === name))
    const there = found.filter((member) => member !== undefined)
    return {
      name,
      type: [...new Set(there.map(({ type }) => type))].join(' | '),
      isVariable: there.some(({ isVariable }) => isVariable),
      optional: there.length < lists.length,
    }
  })
}

interface Shape {
  readonly all: readonly OptionalMember[]
  /** One interface for each environment. */
  readonly named: readonly { readonly name: string; readonly list: readonly Member[] }[]
}

function declarations(options: EnvOptions, { all, named }: Shape): string {
  const { config, context, interfaceName } = options
  const { entry } = context
  const rules = moduleDeclarations(config)
  if (entry !== undefined && !entry.exports.includes('default')) return serviceWorker(options, all, rules)
  const blocks = [
    ...(entry === undefined ? [] : [block('GlobalProps', globalProps(config, entry, options))]),
    ...named.map(({ name, list }) => block(name, list.map(property))),
    block('Env', all.map(property)),
  ]
  return [
    `declare namespace Cloudflare {\n${blocks.join('\n')}\n}`,
    `interface ${interfaceName} extends Cloudflare.Env {}`,
    ...processEnv(config, all),
    ...rules,
    '',
  ].join('\n')
}

function block(name: string, lines: readonly string[]): string {
  return lines.length === 0
    ? `\tinterface ${name} {}`
    : `\tinterface ${name} {\n${lines.map((line) => `\t\t${line}`).join('\n')}\n\t}`
}

function property({ name, type, optional }: OptionalMember): string {
  return `${key(name)}${optional === true ? '?' : ''}: ${type};`
}

function key(name: string): string {
  return /^[a-zA-Z_$][\w$]*$/.test(name) ? name : JSON.stringify(name)
}

function globalProps(config: Config, entry: EntryModule, { context }: EnvOptions): readonly string[] {
  const stored = [...storedClasses(config).keys()]
  return [
    `mainModule: typeof import("${importSpecifier(context.file, entry.file)}");`,
    ...(stored.length === 0
      ? []
      : [`durableNamespaces: ${stored.map((name) => JSON.stringify(name)).join(' | ')};`]),
  ]
}

/** A service worker has its bindings as globals. @throws FlexiError FLEXI_USAGE when its interface was named. */
function serviceWorker(
  { interfaceName }: EnvOptions,
  all: readonly OptionalMember[],
  rules: readonly string[],
): string {
  if (interfaceName !== 'Env')
    throw new FlexiError('FLEXI_USAGE', `the program is a service worker, which has no ${interfaceName}`, {
      hint: 'Leave --env-interface out: its bindings are globals.',
    })
  const lines = all.map(({ name, type }) => `\tconst ${key(name)}: ${type};`)
  return ['export {};', 'declare global {', ...lines, '}', ...rules, ''].join('\n')
}

/** Since this date Node's `process.env` holds the variables. Source: compatibility flag nodejs_compat_populate_process_env. */
const POPULATED_SINCE = '2025-04-01'

function processEnv(config: Config, all: readonly OptionalMember[]): readonly string[] {
  const names = all.filter(({ isVariable }) => isVariable).map(({ name }) => JSON.stringify(name))
  if (!hasProcessEnv(config) || names.length === 0) return []
  return [
    'type StringifyValues<EnvType extends Record<string, unknown>> = {',
    '\t[Binding in keyof EnvType]: EnvType[Binding] extends string ? EnvType[Binding] : string;',
    '};',
    'declare namespace NodeJS {',
    `\tinterface ProcessEnv extends StringifyValues<Pick<Cloudflare.Env, ${names.join(' | ')}>> {}`,
    '}',
  ]
}

function hasProcessEnv({
  compatibility_date: date = '2000-01-01',
  compatibility_flags: flags,
}: Config): boolean {
  const mode = nodeMode({ date, flags })
  if (mode !== 'v1' && mode !== 'v2') return false
  if (flags.includes('nodejs_compat_populate_process_env')) return true
  return !flags.includes('nodejs_compat_do_not_populate_process_env') && date >= POPULATED_SINCE
}

const MODULE_TYPES: Readonly<Record<string, string>> = {
  CompiledWasm: 'WebAssembly.Module',
  Data: 'ArrayBuffer',
  Text: 'string',
}

/** What an import of a file under the worker's own `rules` gives. */
function moduleDeclarations({ rules }: Config): readonly string[] {
  return rules.flatMap(({ type, globs }) => {
    const value = MODULE_TYPES[type]
    return value === undefined
      ? []
      : globs.map(
          (glob) =>
            `declare module "${moduleGlob(glob)}" {\n\tconst value: ${value};\n\texport default value;\n}`,
        )
  })
}

/** TypeScript takes one `*`: a glob over folders becomes `*.md` */
function moduleGlob(glob: string): string {
  if (!glob.includes('*')) return glob
  if (glob.includes('.')) return `*.${glob.split('.').at(-1)}`
  return glob.replace('**/*', '*').replace('**/', '*/').replace('/**', '/*')
}
