/**
 * The part of the Workers API that this project uses, so that an editor knows it without an installation.
 * For all of it: `npm install --save-dev @cloudflare/workers-types`, add it to "types" in tsconfig.json, and delete this file.
 */
interface KVNamespace {
  get(key: string): Promise<string | null>
  put(key: string, value: string, options?: { expirationTtl?: number }): Promise<void>
  delete(key: string): Promise<void>
  list(options?: { prefix?: string; limit?: number }): Promise<{ keys: { name: string }[] }>
}

interface ExecutionContext {
  /** Work that goes on after the response was sent. */
  waitUntil(promise: Promise<unknown>): void
  passThroughOnException(): void
}

interface ExportedHandler<Env = unknown> {
  fetch?(request: Request, env: Env, ctx: ExecutionContext): Response | Promise<Response>
}
