import { conforms } from '../conformance.ts'
import { LAMBDA, provider } from './conformance-provider.ts'

conforms('lambda, streamed', { ...LAMBDA, ...provider('conformance.mjs', 'conformance.streaming') })
