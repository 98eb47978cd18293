import { conforms } from '../conformance.ts'
import { LAMBDA, provider } from './conformance-provider.ts'

conforms('lambda', {
  ...LAMBDA,
  ...provider('conformance.mjs', 'conformance.handler'),
  noStreaming: 'a handler that returns its result has nothing to stream',
})
