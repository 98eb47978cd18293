import { readFileSync } from 'node:fs'

/**
 * All IPv4 addresses at which this machine, and so the daemon and whatever else listens on it, would answer: `192.0.2.2/32`. By the
 * kernel's own table, for the lists of interfaces leave out those without a cable, such as a bridge for containers that has none at the
 * moment, and their addresses answer all the same.
 */
export function ownAddresses(): string[] {
  return localTargets(readFileSync('/proc/net/fib_trie', 'utf8'))
}

const SECTION = /^(?:Main|Local):\n((?: .*\n?)+)/gm
const LEAF = /\|-- (\S+)\n((?:\s+\/\d+ \S+ .*\n?)+)/g
const LOCAL = /\/([1-9]\d?) \S+ LOCAL\b/g

/** Out of the text of `/proc/net/fib_trie`: tables of other names are for rules of their own. */
export function localTargets(text: string): string[] {
  const found = new Set<string>()
  for (const [, section = ''] of text.matchAll(SECTION)) {
    for (const [, address = '', entries = ''] of section.matchAll(LEAF)) {
      // Those are each sandbox's own inside.
      if (address.startsWith('127.')) continue
      for (const [, length = ''] of entries.matchAll(LOCAL)) found.add(`${address}/${length}`)
    }
  }
  return [...found]
}
