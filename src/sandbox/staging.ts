import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  realpathSync,
  rmSync,
  statSync,
  writeFileSync,
  type Stats,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'

import type { AbsolutePath } from '../core/place.ts'

/** Where a bind mount comes from: what a sandbox user sees there is `source`, put at `point` first where it cannot get at the source. */
export interface Staged {
  readonly source: string
  readonly point: string
}

/**
 * Gives functions with users of their own what lies below folders that these cannot pass: a data directory in a home, flexi itself below
 * /root. It is bound, in a mount namespace of the one launch, to a place that everybody can reach. Nothing is copied, and no mount
 * outlives the process. Only what the daemon itself names is let through like this.
 */
export class Staging {
  readonly #points = new Map<string, string>()
  #root: string | undefined

  /** Undefined where the path can be reached as it is. */
  stage(path: string): Staged | undefined {
    const source = realpathSync(path)
    if (isReachable(source)) return undefined
    let point = this.#points.get(source)
    if (point === undefined) {
      point = this.#newPoint(statSync(source))
      this.#points.set(source, point)
    }
    return { source, point }
  }

  #newPoint(kind: Stats): string {
    this.#root ??= newRoot()
    const point = join(this.#root, String(this.#points.size))
    if (kind.isDirectory()) mkdirSync(point, { mode: 0o755 })
    else writeFileSync(point, '', { mode: 0o644 })
    return point
  }

  dispose(): void {
    if (this.#root !== undefined) rmSync(this.#root, { recursive: true, force: true })
  }
}

function newRoot(): AbsolutePath {
  const root = mkdtempSync(join(tmpdirForAll(), 'flexi-stage-')) as AbsolutePath
  // mkdtemp keeps others out, and this is for the others.
  chmodSync(root, 0o711)
  return root
}

function tmpdirForAll(): string {
  return [tmpdir(), '/run', '/tmp'].find((directory) => isReachable(directory)) ?? '/tmp'
}

/** Whether everybody may pass through all folders above it. */
function isReachable(path: string): boolean {
  for (let folder = dirname(path); ; folder = dirname(folder)) {
    if ((statSync(folder).mode & 0o001) === 0) return false
    if (folder === '/') return true
  }
}
