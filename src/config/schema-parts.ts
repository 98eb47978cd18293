import type { z as Zod } from 'zod'

/** A string that is not empty. */
export function text(z: typeof Zod) {
  return z.string('must be a string').min(1, 'must not be empty')
}

/** Seconds, with fractions; `min` is the least that is allowed, or 0 for anything above it. */
export function seconds(z: typeof Zod) {
  const rule = 'must be a number of seconds above 0, at most 1000000'
  return z.number(rule).positive(rule).max(1_000_000, rule)
}

/** A whole number of at least `min`. */
export function count(z: typeof Zod, min: 0 | 1) {
  const rule = min === 0 ? 'must be a whole number from 0 on' : 'must be a whole number above 0'
  return z.int(rule).min(min, rule)
}

export function flag(z: typeof Zod) {
  return z.boolean('must be true or false')
}

/** Addresses and CIDR blocks; which are none is said when they are read. */
export function addresses(z: typeof Zod) {
  return z.array(text(z), 'must be a list of addresses and CIDR blocks')
}

/** `address`, `path`, `header NAME` or `cookie NAME`: what requests are told apart by. */
export function requestKey(z: typeof Zod) {
  const rule = 'must be "address", "path", "header NAME" or "cookie NAME"'
  return z.string(rule).regex(/^(address|path|(header|cookie) [\w!#$%&'*+.^`|~-]+)$/, rule)
}
