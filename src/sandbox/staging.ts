import {
  chmodSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  realpathSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'

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
  readonly #id: string
  #root: string | undefined

  /** `id` says whose the folder of the points is: whoever comes after a crash can remove it. */
  constructor(id: string) {
    this.#id = id
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
    this.#root ??= newRoot(this.#id)
    const point = join(this.#root, String(this.#points.size))
    const isFolder = statSync(source).isDirectory()
    if (isFolder) mkdirSync(point)
    else writeFileSync(point, '')
    // Whatever our umask is.
    chmodSync(point, isFolder ? 0o755 : 0o644)
    return point
  }

  dispose(): void {
    if (this.#root !== undefined) rmSync(this.#root, { recursive: true, force: true })
  }
}

/** Removes the folders of processes that are gone: they hold empty files and folders alone. */
export function removeStages(isLeftOver: (id: string) => boolean): void {
  const parent = stagesFolder()
  for (const name of readdirSync(parent)) {
    const [id = ''] = name.slice(PREFIX.length).split('-')
    const path = join(parent, name)
    if (name.startsWith(PREFIX) && isLeftOver(id) && lstatSync(path).uid === process.getuid?.()) {
      rmSync(path, { recursive: true, force: true })
    }
  }
}

function stagesFolder(): string {
  const parent = [tmpdir(), '/tmp', '/run'].find((folder) => isReachable(join(folder, PREFIX))) ?? '/tmp'
  return realpathSync(parent)
}

function newRoot(id: string): string {
  const root = mkdtempSync(join(stagesFolder(), `${PREFIX}${id}-`))
  // mkdtemp keeps others out, and this is for the others.
  chmodSync(root, 0o711)
  return root
}

/** Whether everybody may pass through all folders above it. */
function isReachable(path: string): boolean {
  for (let folder = dirname(path); ; folder = dirname(folder)) {
    if ((statSync(folder).mode & 0o001) === 0) return false
    if (folder === dirname(folder)) return true
  }
}
