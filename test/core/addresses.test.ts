import { expect, test } from 'vitest'

import { openAddressList, parseAddressBlock } from '../../src/core/addresses.ts'

test.each([
  ['10.0.0.0/8', { address: '10.0.0.0', prefix: 8, family: 'ipv4' }],
  ['127.0.0.1', { address: '127.0.0.1', prefix: 32, family: 'ipv4' }],
  ['::1', { address: '::1', prefix: 128, family: 'ipv6' }],
  ['fd00::/8', { address: 'fd00::', prefix: 8, family: 'ipv6' }],
  ['0.0.0.0/0', { address: '0.0.0.0', prefix: 0, family: 'ipv4' }],
])('%s is a block', (text, block) => {
  expect(parseAddressBlock(text)).toEqual(block)
})

test.each([
  '',
  '10.0.0.0/33',
  '::/129',
  '1.2.3',
  '10.0.0.0/',
  '10.0.0.0/8/8',
  '10.0.0.0/+8',
  'localhost',
  '01.2.3.4',
  'fe80::1%lo',
  '[::1]',
])('%s is none', (text) => {
  expect(parseAddressBlock(text)).toBeUndefined()
})

test('a list finds addresses in its blocks, and IPv4 ones written as IPv6', () => {
  const list = openAddressList(['10.1.2.3/8', '192.168.0.1', 'fd00::/8'])
  const inside = ['10.0.0.0', '10.255.255.255', '192.168.0.1', 'fdff::1', '::ffff:10.0.0.1']
  const outside = ['11.0.0.0', '192.168.0.2', 'fe00::', '::1', '', 'unknown', '10.0.0.1:80']
  expect(inside.filter((address) => list.has(address))).toEqual(inside)
  expect(outside.filter((address) => list.has(address))).toEqual([])
  expect(openAddressList([]).has('127.0.0.1')).toBe(false)
  expect(openAddressList(['0.0.0.0/0']).has('8.8.8.8')).toBe(true)
  expect(openAddressList(['::ffff:10.0.0.0/104']).has('10.9.9.9')).toBe(true)
})
