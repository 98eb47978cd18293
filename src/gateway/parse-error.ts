import type { Refusal } from './head-check.ts'

/** What Node's parser says about bytes it could not read. */
export interface ParseError extends Error {
  readonly code?: string | undefined
  /** The bytes of its last read. */
  readonly rawPacket?: Buffer | undefined
  /** How many of them it had read. */
  readonly bytesParsed?: number | undefined
}

type Reader = (error: ParseError) => Refusal

const READERS: Readonly<Record<string, Reader>> = {
  HPE_HEADER_OVERFLOW: (error) =>
    isWithinFirstLine(error)
      ? { status: 414, message: 'the request target is too long' }
      : { status: 431, message: 'the head of the request is too long' },
  HPE_CHUNK_EXTENSIONS_OVERFLOW: () => ({ status: 413, message: 'too many chunk extensions' }),
  HPE_INVALID_VERSION: (error) =>
    brokenLine(error).endsWith('\r')
      ? { status: 505, message: 'only HTTP/1.1 and HTTP/1.0 are spoken here' }
      : invalid(error),
  HPE_INVALID_METHOD: (error) =>
    REQUEST_LINE.test(brokenLine(error))
      ? { status: 501, message: 'the method is unknown here' }
      : invalid(error),
  ERR_HTTP_REQUEST_TIMEOUT: () => ({ status: 408, message: 'the request took too long to arrive' }),
}

/** RFC 9112 section 3, whatever the method. */
const REQUEST_LINE = /^[!#$%&'*+.^_`|~\w-]+ [!-~]+ HTTP\/1\.[01]\r$/

/** The answer to bytes that were no request. Node's parser knows a list of methods; what it does not know is 501, not 400. */
export function readParseError(error: ParseError): Refusal {
  return (READERS[error.code ?? ''] ?? invalid)(error)
}

function invalid(error: ParseError): Refusal {
  return { status: 400, message: `the request is no valid HTTP: ${error.message}` }
}

/** The line in which the parser stopped, without its LF, as far as it came with the last read. */
function brokenLine({ code, rawPacket, bytesParsed = 0 }: ParseError): string {
  if (rawPacket === undefined) return ''
  // In a version it stops behind the byte it did not expect, which may be the LF itself.
  const before = bytesParsed - (code === 'HPE_INVALID_VERSION' ? 2 : 1)
  const start = before < 0 ? 0 : rawPacket.lastIndexOf(LF, before) + 1
  const end = rawPacket.indexOf(LF, start)
  return rawPacket.toString('latin1', start, end === -1 ? rawPacket.length : end)
}

function isWithinFirstLine({ rawPacket, bytesParsed = 0 }: ParseError): boolean {
  const at = rawPacket?.indexOf(LF) ?? 0
  return at === -1 || at >= bytesParsed
}

const LF = 10
