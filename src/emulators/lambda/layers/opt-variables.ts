import type { Opt } from './opt.ts'

type Variables = Readonly<Record<string, string>>

/**
 * The variables by which runtimes find what layers brought, over those of a function without any. What the function itself sets stays as it is,
 * but for Python’s path: Lambda’s Python looks into layers whatever that says.
 */
export function withOpt(
  opt: Opt | undefined,
  variables: Variables,
  { runtime, own }: { readonly runtime: string; readonly own: Variables },
): Record<string, string> {
  if (opt === undefined) return { ...variables }
  const { directory } = opt
  const joined: Record<string, string> = {
    PATH: `${variables['PATH']}:${directory}/bin`,
    LD_LIBRARY_PATH: `${variables['LD_LIBRARY_PATH']}:${directory}/lib`,
    ...languageVariables(opt, runtime, variables),
  }
  for (const name of Object.keys(own)) if (name !== 'PYTHONPATH') delete joined[name]
  return { ...variables, ...joined, FLEXI_OPT: directory }
}

function languageVariables(opt: Opt, runtime: string, variables: Variables): Record<string, string> {
  const { directory } = opt
  if (runtime.startsWith('nodejs')) {
    const version = runtime.replace(/^nodejs(\d+).*$/, 'node$1')
    const folders = [`${directory}/nodejs/${version}/node_modules`, `${directory}/nodejs/node_modules`]
    return { NODE_PATH: [...folders, variables['NODE_PATH']].filter((path) => path !== undefined).join(':') }
  }
  if (runtime.startsWith('python')) {
    // The one the runtime is called after comes first; what runs here may be another.
    const libraries = [runtime, ...opt.pythons.filter((name) => name !== runtime)]
    const folders = [
      ...libraries.map((name) => `${directory}/python/lib/${name}/site-packages`),
      `${directory}/python`,
    ]
    const first = variables['PYTHONPATH']
    return { PYTHONPATH: [...(first === undefined ? [] : [first]), ...folders].join(':') }
  }
  if (runtime.startsWith('ruby'))
    return {
      RUBYLIB: pathsOf(variables['RUBYLIB'], [`${directory}/ruby/lib`]),
      GEM_PATH: pathsOf(
        variables['GEM_PATH'],
        opt.rubies.map((version) => `${directory}/ruby/gems/${version}`),
      ),
    }
  if (runtime.startsWith('java'))
    return { CLASSPATH: pathsOf(variables['CLASSPATH'], [`${directory}/java/lib/*`]) }
  return {}
}

function pathsOf(first: string | undefined, more: readonly string[]): string {
  return [...(first === undefined || first === '' ? [] : [first]), ...more].join(':')
}
