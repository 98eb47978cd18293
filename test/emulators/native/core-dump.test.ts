import { describe, expect, test } from 'vitest'

import { coreHint } from '../../../src/emulators/native/core-dump.ts'

const crashed = { pid: 42, directory: '/project', program: '/usr/bin/node' }
const hint = (pattern: string, usesPid = false): string =>
  coreHint({ allowed: true, pattern, usesPid }, crashed)

describe('after a crash the hint is one action', () => {
  test('that makes cores, when none was written', () => {
    expect(coreHint({ allowed: false, pattern: 'core', usesPid: false }, crashed)).toMatch(
      /^Run "ulimit -c unlimited" before flexi/,
    )
  })

  test.each([
    ['core', false, 'gdb /usr/bin/node /project/core -ex bt'],
    ['core', true, 'gdb /usr/bin/node /project/core.42 -ex bt'],
    ['core.%p', true, 'gdb /usr/bin/node /project/core.42 -ex bt'],
    ['/var/cores/%e-%p-%t', false, 'gdb /usr/bin/node /var/cores/*-42-* -ex bt'],
    ['100%%-%P', false, 'gdb /usr/bin/node /project/100%-42 -ex bt'],
    ['|/usr/lib/systemd/systemd-coredump %P %u', false, 'coredumpctl gdb 42'],
    ['|/usr/share/apport/apport %p', false, '/usr/share/apport/apport'],
  ])('for cores that go to %s', (pattern, usesPid, action) => {
    expect(hint(pattern, usesPid)).toContain(action)
  })

  test('for a system that does not tell', () => {
    expect(coreHint(undefined, crashed)).toContain('debugger')
  })
})
