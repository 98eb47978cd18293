import { originForm } from './request-line.ts'

/** How a request's target becomes the upstream's. */
export interface PathRules {
  /** Put before the path, without a slash at its end: `/base`. */
  readonly basePath?: string | undefined
  /** Taken off the start of the path, without a slash at its end; whole segments only: `/api` makes `/api/x` `/x` and leaves `/apix`. */
  readonly stripPrefix?: string | undefined
}

/** The path and query an upstream is asked for. What is neither put before nor taken off stays as sent, byte for byte. */
export function upstreamPath({ basePath, stripPrefix }: PathRules, target: string): string {
  const path = originForm(target)
  const stripped = stripPrefix === undefined ? path : withoutPrefix(path, stripPrefix)
  return basePath === undefined ? stripped : basePath + stripped
}

function withoutPrefix(path: string, prefix: string): string {
  if (!path.startsWith(prefix)) return path
  switch (path.charCodeAt(prefix.length)) {
    case SLASH:
      return path.slice(prefix.length)
    case QUERY:
      return `/${path.slice(prefix.length)}`
    default:
      return path.length === prefix.length ? '/' : path
  }
}

const SLASH = 47
const QUERY = 63
