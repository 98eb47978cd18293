import { BlockList, isIP } from 'node:net'

import { patternFault } from './pattern-fault.ts'

/** `10.0.0.0/24`, `2001:db8::/32`. @throws FlexiError FLEXI_CONFIG. */
export function cidrMatcher(block: string): (address: string) => boolean {
  const [network = '', digits = '', ...more] = block.split('/')
  const family = isIP(network)
  if (more.length > 0 || family === 0) throw patternFault(`Malformed CIDR, one '/' required: ${block}`)
  const bits = /^\d{1,3}$/.test(digits) ? Number(digits) : Infinity
  const bitsMax = family === 4 ? 32 : 128
  if (bits > bitsMax) throw patternFault(`Malformed CIDR, mask bits must be 0 to ${bitsMax}: ${block}`)
  const kind = family === 4 ? 'ipv4' : 'ipv6'
  const list = new BlockList()
  list.addSubnet(network, bits, kind)
  return (address) => isIP(address) === family && list.check(address, kind)
}
