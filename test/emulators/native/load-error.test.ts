import { expect, test } from 'vitest'

import { loadError } from '../../../src/emulators/native/load-error.ts'

const LIBRARY = '/project/libhello.so'
const COPY = '/project/.flexi/native/hello-1-1/1.so'

test.each([
  [
    'undefined symbol: nowhere',
    'undefined symbol: nowhere',
    'Define nowhere, or link the library that does (-l).',
  ],
  [
    'libssl.so.9: cannot open shared object file: No such file or directory',
    'libssl.so.9: cannot open shared object file: No such file or directory',
    'Install libssl.so.9, or put it beside the library.',
  ],
  [
    "/lib/x86_64-linux-gnu/libc.so.6: version `GLIBC_2.99' not found (required by @)",
    `/lib/x86_64-linux-gnu/libc.so.6: version \`GLIBC_2.99' not found (required by ${LIBRARY})`,
    'It was built for a newer system (GLIBC_2.99): build it on this one.',
  ],
  [
    "/usr/lib/libstdc++.so.6: version `CXXABI_1.3.15' not found (required by @)",
    `/usr/lib/libstdc++.so.6: version \`CXXABI_1.3.15' not found (required by ${LIBRARY})`,
    'It was built for a newer system (CXXABI_1.3.15): build it on this one.',
  ],
  [
    'cannot allocate memory in static TLS block',
    'cannot allocate memory in static TLS block',
    'Build it with -ftls-model=global-dynamic.',
  ],
  ['something new', 'something new', undefined],
])('the loader’s "%s" names the library its author knows, and what to do', (said, told, hint) => {
  const cause = new Error(`Failed to load shared library: ${COPY}: ${said.replace('@', COPY)}`)
  const error = loadError(cause, { library: LIBRARY, copy: COPY })
  expect(error.message).toBe(`libhello.so cannot be loaded: ${told}`)
  expect(error.hint).toBe(hint)
})
