import type { FunctionConfig, FunctionScope, Instance } from '../../core/function.ts'
import type { AbsolutePath } from '../../core/place.ts'
import type { LibraryCopy } from './library-file.ts'
import type { NativeOptions } from './options.ts'

export interface IsolationOptions {
  readonly config: FunctionConfig
  readonly scope: FunctionScope
  readonly options: NativeOptions
  /** A folder for files that live as long as the source; made when it is not there. */
  readonly directory: () => AbsolutePath
}

/** Where a library runs: in processes of its own, or in the server's. */
export interface Isolation extends AsyncDisposable {
  /** Requests that one instance takes at once. */
  readonly concurrency: number
  /** Another start may follow soon. */
  prepare(): void
  /** What is being loaded has changed: a load that takes long is given up. */
  endLoad(): void
  /**
   * Loads a revision; `sequence` says which of two is newer.
   * @throws FlexiError FLEXI_FUNCTION_INIT with the dynamic loader's message.
   */
  start(copy: LibraryCopy, sequence: number): Promise<Instance>
}
