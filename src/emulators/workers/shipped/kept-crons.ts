import type { Instance } from '../../../core/function.ts'
import { Crons, type CronsOptions } from '../api/crons.ts'

/**
 * Fires a deployed worker's crons for as long as this instance of it runs. Where it is not kept running nobody wakes it: a deployment with
 * crons asks for an instance at least.
 */
export function keepCrons(
  { closed }: Pick<Instance, 'closed'>,
  options: Pick<CronsOptions, 'groups' | 'clock'>,
): void {
  const crons = new Crons({ ...options, isBuilt: () => true })
  const stop = (): void => void crons[Symbol.asyncDispose]()
  closed.then(stop, stop)
}
