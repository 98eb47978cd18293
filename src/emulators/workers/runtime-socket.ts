/** Where a socket of a runtime is. */
export interface RuntimeSocket {
  /** `http://127.0.0.1:PORT`; its port is 0 where only the path leads there. */
  readonly origin: URL
  /** A Unix socket, which everybody takes who finds one: requests cost less over it. */
  readonly path?: string | undefined
}

/** As `connect` of node:net takes it. */
export function addressOf({
  origin,
  path,
}: RuntimeSocket): { path: string } | { host: string; port: number } {
  return path === undefined ? { host: origin.hostname, port: Number(origin.port) } : { path }
}
