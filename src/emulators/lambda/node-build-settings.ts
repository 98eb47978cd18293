import type { BuildOptions, Loader } from 'esbuild'

import type { BuildSettings } from './service/build-settings.ts'

/** Settings of ours with what a template says of its source. Names stay readable: what is minified in the cloud runs the same here. */
export function withBuildSettings(ours: BuildOptions, said: BuildSettings | undefined): BuildOptions {
  if (said === undefined) return ours
  const { define, loader, external = [], banner, footer, target, mainFields, conditions } = said
  const own = {
    loader: loader === undefined ? undefined : loadersIn(loader),
    banner: banner === undefined ? undefined : { js: banner },
    footer: footer === undefined ? undefined : { js: footer },
    inject: copied(said.inject),
    target: copied(target),
    mainFields: copied(mainFields),
    conditions: copied(conditions),
    alias: said.alias,
  }
  return {
    ...ours,
    ...(Object.fromEntries(Object.entries(own).filter(([, one]) => one !== undefined)) as BuildOptions),
    define: { ...ours.define, ...define },
    external: [...(ours.external ?? []), ...external],
  }
}

/** The author's own `require` is in front of the code. */
export function bringsRequire(said: BuildSettings | undefined): boolean {
  return /\b(?:const|let|var)\s+require\b/.test(said?.banner ?? '')
}

function copied(list: readonly string[] | undefined): string[] | undefined {
  return list === undefined ? undefined : [...list]
}

const LOADERS = new Set<string>([
  'base64', 'binary', 'css', 'dataurl', 'default', 'empty', 'js', 'json', 'jsx', 'text', 'ts', 'tsx',
]) // prettier-ignore

/** Loaders that write files of their own are left out: addons are loaded from where they lie. */
function loadersIn(said: Readonly<Record<string, string>>): Record<string, Loader> {
  const entries = Object.entries(said).filter((entry): entry is [string, Loader] => LOADERS.has(entry[1]))
  return Object.fromEntries(entries)
}
