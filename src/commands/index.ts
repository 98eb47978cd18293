import Build from './build.ts'
import Check from './check.ts'
import Dev from './dev.ts'
import Events from './events.ts'
import Invoke from './invoke.ts'
import New from './new.ts'
import Proxy from './proxy.ts'
import Trust from './trust.ts'

/** Every verb of the command line. A table instead of a folder search, so that the bundle holds them all and nothing else. */
export const COMMANDS = {
  build: Build,
  check: Check,
  dev: Dev,
  events: Events,
  invoke: Invoke,
  new: New,
  proxy: Proxy,
  trust: Trust,
}
