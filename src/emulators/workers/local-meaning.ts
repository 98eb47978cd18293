import type { Config } from './configuration.ts'
import { moduleRules } from './module-rules.ts'

/** Settings that change what `wrangler dev` does and are done in another way here, or not at all: a sentence each. */
export function localMeaning(config: Config): readonly string[] {
  const { dev, build } = config
  const list: readonly (readonly [boolean, string])[] = [
    [
      dev.host !== undefined,
      `dev.host is not followed: the program sees the address the client asked for, so ask for ${dev.host}`,
    ],
    [
      dev.ip !== 'localhost',
      `dev.ip is not followed: where flexi listens is said by --host, or by "server" in flexi.jsonc`,
    ],
    [
      dev.local_protocol !== 'http',
      `dev.local_protocol is not followed: flexi serves https with --https, beside http on the same port`,
    ],
    [
      dev.upstream_protocol !== 'http' && dev.upstream_protocol !== dev.local_protocol,
      'dev.upstream_protocol has no meaning here: nothing is forwarded to another host',
    ],
    [
      dev.inspector_port !== undefined,
      'dev.inspector_port is not followed: the port of a debugger is said by --inspect',
    ],
    [
      dev.generate_types === true,
      'dev.generate_types is not followed: run "flexi types", and "flexi types --check" in your tests',
    ],
    [config.cache?.enabled === true, 'cache is not followed: every request reaches the worker'],
    [
      config.no_bundle === true && build.command === undefined && /\.[mc]?tsx?$/.test(config.main ?? ''),
      'no_bundle: a TypeScript program is not understood by the runtime as it is',
    ],
  ]
  return [
    ...list.filter(([applies]) => applies).map(([, text]) => text),
    ...moduleRules(config.rules).warnings,
  ]
}
