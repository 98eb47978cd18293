import type { Launch } from '../core/confinement.ts'
import type { Owner } from './ownership.ts'
import type { Staged } from './staging.ts'
import type { Tools } from './tools.ts'

/** Binds pairs of its arguments up to `--`, then becomes what follows. */
const SCRIPT =
  'mount=$1; shift; while [ "$1" != -- ]; do "$mount" --bind "$1" "$2" || exit 125; shift 2; done; shift; exec "$@"'

/**
 * A command line that runs as the function's user. Where something has to be staged it begins as root, in a mount namespace of its own,
 * and becomes that user before bwrap begins.
 */
export function stagedCommand(
  command: readonly (string | undefined)[],
  { staged, owner, tools }: { staged: readonly Staged[]; owner: Owner | undefined; tools: Tools },
): Pick<Launch, 'command' | 'args' | 'uid' | 'gid'> {
  const words = command.filter((word) => word !== undefined)
  if (staged.length === 0 || owner === undefined) return { ...split(words), ...owner }
  const pairs = staged.flatMap(({ source, point }) => [source, point])
  const { unshare = 'unshare', mount = 'mount', setpriv = 'setpriv' } = tools
  const staging = [
    unshare,
    '--mount',
    '--propagation',
    'slave',
    '--',
    '/bin/sh',
    '-c',
    SCRIPT,
    'stage',
    mount,
  ]
  const user = [setpriv, '--reuid', String(owner.uid), '--regid', String(owner.gid), '--clear-groups', '--']
  return split([...staging, ...pairs, '--', ...user, ...words])
}

function split([command = '', ...args]: readonly string[]): { command: string; args: readonly string[] } {
  return { command, args }
}
