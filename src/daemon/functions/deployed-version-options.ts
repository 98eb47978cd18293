import type { PoolOptions } from '../../instances/pool.ts'
import type { Logs } from '../runtime.ts'
import type { ExclusiveTurn } from './exclusive-turn.ts'
import type { Workshop } from './opened-version.ts'

export interface DeployedVersionOptions {
  readonly workshop: Workshop
  readonly logs: Logs
  readonly turn: ExclusiveTurn
  readonly limits?: PoolOptions['limits']
  readonly clock: () => number
  readonly onState: () => void
}
