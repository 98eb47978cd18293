import { spawnSync } from 'node:child_process'

import { test } from 'vitest'

import { conforms } from '../conformance.ts'
import { LAMBDA, provider } from './conformance-provider.ts'

if (spawnSync('python3', ['--version']).status === 0) {
  conforms('lambda, python', {
    ...LAMBDA,
    ...provider('conformance.py', 'conformance.handler'),
    noStreaming: "Lambda's Python runtime does not stream",
  })
} else test.skip('lambda, python, conforms (not here: python3 is not installed)')
