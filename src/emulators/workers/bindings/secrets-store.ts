import type { MiniflareWorker } from '../miniflare.ts'
import type { BindingInputs, Mapped } from './inputs.ts'

const WORKER = 'flexi-secret'

/**
 * Secrets of a Secrets Store. One that `.dev.vars` names (by the secret's name, or the binding's) has that value; the others are read
 * from the local store, and `get()` rejects while it has none.
 */
export function secretsStore({ config, variables }: BindingInputs): Mapped {
  const local = new Map<string, string>()
  const stored = new Map<string, { store_id: string; secret_name: string }>()
  const warnings: string[] = []
  for (const { binding, store_id, secret_name } of config.secrets_store_secrets) {
    const value = variables[secret_name] ?? variables[binding]
    if (value !== undefined) local.set(binding, value)
    else {
      stored.set(binding, { store_id, secret_name })
      warnings.push(
        `the binding ${binding} has a value only if the local Secrets Store has one: run "flexi secrets-store set ${secret_name}", or write ${secret_name}=… into .dev.vars`,
      )
    }
  }
  return {
    options: {
      secretsStoreSecrets: Object.fromEntries(stored),
      wrappedBindings: Object.fromEntries(
        [...local].map(([binding, VALUE]) => [binding, { scriptName: WORKER, bindings: { VALUE } }]),
      ),
    },
    workers: local.size === 0 ? [] : [SECRET],
    warnings,
  }
}

const SECRET: MiniflareWorker = {
  name: WORKER,
  modules: [
    {
      type: 'ESModule',
      path: 'secret.mjs',
      contents: 'export default ({ VALUE }) => ({ get: async () => VALUE })\n',
    },
  ],
}
