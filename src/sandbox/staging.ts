import { chmodSync, mkdirSync, mkdtempSync, realpathSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, dirname, join } from 'node:path'

const PREFIX = 'flexi-stage-'

/** Where a bind mount comes from: what a sandbox user sees at `point` is `source`, which it could not get at. */
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
  readonly #onRoot: (root: string) => void
  #root: string | undefined

  /** `onRoot` is told the folder of the points when it is made: whoever comes after a crash can remove it. */
  constructor(onRoot: (root: string) => void) {
    this.#onRoot = onRoot
  }

  /** Undefined where the path can be reached as it is. */
  stage(source: string): Staged | undefined {
    if (isReachable(source)) return undefined
    let point = this.#points.get(source)
    if (point === undefined) {
      point = this.#newPoint(source)
      this.#points.set(source, point)
    }
    return { source, point }
  }

  #newPoint(source: string): string {
    if (this.#root === undefined) {
      this.#root = newRoot()
      this.#onRoot(this.#root)
    }
    const point = join(this.#root, String(this.#points.size))
    const isFolder = statSync(source).isDirectory()
    if (isFolder) mkdirSync(point)
    else writeFileSync(point, '')
    // Whatever our umask is.
    chmodSync(point, isFolder ? 0o755 : 0o644)
    return point
  }

  dispose(): void {
    if (this.#root !== undefined) removeStage(this.#root)
  }
}

/** Removes the folder of a process that is gone. It holds empty files and folders alone. */
export function removeStage(root: string): void {
  if (basename(root).startsWith(PREFIX)) rmSync(root, { recursive: true, force: true })
}

function newRoot(): string {
  const parent = [tmpdir(), '/tmp', '/run'].find((folder) => isReachable(join(folder, PREFIX))) ?? '/tmp'
  const root = mkdtempSync(join(realpathSync(parent), PREFIX))
  // mkdtemp keeps others out, and this is for the others.
  chmodSync(root, 0o711)
  return root
}

/** Whether everybody may pass through all folders above it. */
export function isReachable(path: string): boolean {
  for (let folder = dirname(path); ; folder = dirname(folder)) {
    if ((statSync(folder).mode & 0o001) === 0) return false
    if (folder === dirname(folder)) return true
  }
}
