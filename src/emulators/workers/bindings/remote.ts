import type { Config } from '../configuration.ts'
import type { Unavailable } from './inputs.ts'

/** Bindings that ask for the resource of the account, and get one of this machine. */
export function remoteWarnings(config: Config, unavailable: readonly Unavailable[]): readonly string[] {
  const throwing = new Set(unavailable.map(({ name }) => name))
  return wishes(config)
    .filter(({ remote, name }) => remote === true && !throwing.has(name))
    .map(({ name }) => `the binding ${name} asks for the remote resource; a local one is used`)
}

interface Wish {
  readonly name: string
  readonly remote?: boolean | undefined
}

function wishes(config: Config): readonly Wish[] {
  const named = (list: readonly { binding: string; remote?: boolean | undefined }[] | undefined): Wish[] =>
    (list ?? []).map(({ binding, remote }) => ({ name: binding, remote }))
  const single = [config.images, config.stream, config.browser].filter((item) => item !== undefined)
  return [
    ...named(config.kv_namespaces),
    ...named(config.r2_buckets),
    ...named(config.d1_databases),
    ...named(config.queues.producers),
    ...named(config.workflows),
    ...named(config.services),
    ...named(config.pipelines),
    ...named(single),
    ...named(config.mtls_certificates),
    ...config.send_email.map(({ name, remote }) => ({ name, remote })),
  ]
}
