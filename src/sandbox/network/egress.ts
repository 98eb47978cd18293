import type { LaunchedProcess } from '../../core/confinement.ts'

/** A sandbox's network, joined to the outside. */
export interface JoinedNetwork {
  /** Resolves when nothing is left of what joined it. */
  leave(): Promise<void>
}

/** What joins sandboxes to the outside. */
export interface Egress {
  /** `slirp4netns 1.2.0` */
  readonly name: string
  /** Joins the network namespace of a process. @throws Error */
  join(pid: LaunchedProcess['pid']): Promise<JoinedNetwork>
  /** Ends what keeps an eye on the machine's addresses. */
  dispose(): void
}
