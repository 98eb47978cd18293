import type { AbsolutePath } from './place.ts'

/** One server that a route may forward to. */
export interface UpstreamOrigin {
  /** `http://host:port` or `https://host:port`, with a path that is put before the request's: `http://host/base`. No slash at its end. */
  readonly url: string
  /** Its share of the requests, beside those of the others; default 1. 0 takes none and is still checked: a way to drain it. */
  readonly weight?: number | undefined
  /** Requests at once; default unlimited. Beyond it the next origin is asked. */
  readonly requestsMax?: number | undefined
  /** Asked only while no other can be. */
  readonly backup?: boolean | undefined
}

/** What a request is told apart by: for consistent hashing and for rate limits. */
export type RequestKey =
  | { readonly kind: 'address' }
  | { readonly kind: 'path' }
  /** `name` in lower case. */
  | { readonly kind: 'field'; readonly name: string }
  | { readonly kind: 'cookie'; readonly name: string }

/** Which origin takes the next request. */
export type BalancePolicy =
  | { readonly kind: 'round-robin' }
  /** The one with the fewest requests under way, by weight. */
  | { readonly kind: 'least-requests' }
  /** The less busy of two drawn by chance: nearly as even, without looking at all of them. */
  | { readonly kind: 'random-two' }
  /** Consistent: an origin that comes or goes moves only its own share of the keys. A missing cookie is set. */
  | { readonly kind: 'hash'; readonly key: RequestKey }

/** Asks every origin now and then whether it is well. */
export interface HealthCheckSettings {
  readonly path: string
  /** Between two checks; default 5 000. */
  readonly intervalMs?: number | undefined
  /** For one check; default 2 000. */
  readonly timeoutMs?: number | undefined
  /** Good checks in a row until it is asked again; default 2. */
  readonly passes?: number | undefined
  /** Bad ones in a row until it is asked no more; default 3. */
  readonly fails?: number | undefined
  /** First and last good status; default 200 to 399. */
  readonly status?: readonly [number, number] | undefined
}

/** How an upstream route treats its origins. Everything has a default: `{}` is a good setting. */
export interface UpstreamSettings {
  readonly balance?: BalancePolicy | undefined
  readonly health?: HealthCheckSettings | undefined
  /** Takes an origin out after so many failed requests in a row (no connection, no answer, 502, 503, 504); default 3 for 10 000 ms. `fails` Infinity never does. */
  readonly eject?: { readonly fails: number; readonly forMs: number } | undefined
  /** Further origins asked when one fails, if the request can be repeated (RFC 9110 section 9.2.2) or never left; default all of them once. */
  readonly retries?: number | undefined
  /** Answers that count as a failure and are retried like one, for example 502 and 503; default none. */
  readonly retryStatus?: readonly number[] | undefined
  readonly timeouts?: UpstreamTimeouts | undefined
  /** `keep` sends the client's Host, `upstream` the origin's own, anything else itself. Default: `keep` for http, `upstream` for https. */
  readonly host?: string | undefined
  /** Speaks HTTP/2 to the origins: by ALPN over https, with prior knowledge over http. gRPC needs it. */
  readonly http2?: boolean | undefined
  readonly tls?: UpstreamTls | undefined
  /** Taken off the start of the path before it is forwarded: `/api` makes `/api/x` `/x`. */
  readonly stripPrefix?: string | undefined
  /** Fields set on the request, by name; null removes one. */
  readonly requestFields?: Readonly<Record<string, string | null>> | undefined
  /** Fields set on the response, by name; null removes one. */
  readonly responseFields?: Readonly<Record<string, string | null>> | undefined
}

export interface UpstreamTimeouts {
  /** Until a connection is open; default 10 000. */
  readonly connectMs?: number | undefined
  /** Until the head of the answer, for one try; default 60 000. */
  readonly tryMs?: number | undefined
  /** Until the head of the answer, all tries together; default `tryMs`. */
  readonly totalMs?: number | undefined
  /** Longest silence within a body; default 300 000. */
  readonly idleMs?: number | undefined
}

export interface UpstreamTls {
  /** False accepts any certificate. Default true. */
  readonly verify?: boolean | undefined
  /** PEM file of authorities trusted besides the system's. */
  readonly ca?: AbsolutePath | undefined
  /** Client certificate and its key, PEM files. */
  readonly cert?: AbsolutePath | undefined
  readonly key?: AbsolutePath | undefined
  /** Name asked for and checked in place of the origin's host. */
  readonly serverName?: string | undefined
  /** Of the content of the files: settings that are equal in it need not be opened anew. */
  readonly revision?: string | undefined
}

/** One origin as metrics and the status page show it. */
export interface OriginState {
  readonly url: string
  /** `down`: its health checks fail. `ejected`: its requests failed a moment ago. `probing`: let one request through to see. */
  readonly circuit: 'closed' | 'down' | 'ejected' | 'probing'
  readonly inFlight: number
}
