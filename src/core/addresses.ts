import { BlockList, isIP } from 'node:net'

/** `10.0.0.0/8` → { address: '10.0.0.0', prefix: 8, family: 'ipv4' }; an address alone is a block of one. */
export interface AddressBlock {
  readonly address: string
  /** Leading bits that count. */
  readonly prefix: number
  readonly family: 'ipv4' | 'ipv6'
}

/** Undefined for what is no IPv4 or IPv6 address and no CIDR block of either (RFC 4632, RFC 4291 section 2.3). */
export function parseAddressBlock(text: string): AddressBlock | undefined {
  const [, address = '', bits] = /^([^/%]+)(?:\/(\d{1,3}))?$/.exec(text) ?? []
  const version = isIP(address)
  if (version === 0) return undefined
  const bitsMax = version === 4 ? 32 : 128
  const prefix = bits === undefined ? bitsMax : Number(bits)
  return prefix > bitsMax ? undefined : { address, prefix, family: version === 4 ? 'ipv4' : 'ipv6' }
}

/** Which addresses are meant. Built once, asked for each request. */
export interface AddressList {
  /** An address without port. An IPv4 one is also found as `::ffff:a.b.c.d`, in the list and in the question. */
  has(address: string): boolean
}

/** @throws Error for a block that `parseAddressBlock` does not know: the configuration is validated before. */
export function openAddressList(blocks: readonly string[]): AddressList {
  const list = new BlockList()
  for (const text of blocks) {
    const block = parseAddressBlock(text)
    if (block === undefined) throw new Error(`${text} is no address`)
    list.addSubnet(block.address, block.prefix, block.family)
  }
  return {
    has(address) {
      const version = isIP(address)
      return version !== 0 && list.check(address, version === 4 ? 'ipv4' : 'ipv6')
    },
  }
}
