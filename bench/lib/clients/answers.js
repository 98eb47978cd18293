/** Whether this is a whole answer: head and content, by its length or its last chunk. */
export function isComplete(text) {
  const headEnd = text.indexOf('\r\n\r\n')
  if (headEnd === -1) return false
  const length = /^content-length: *(\d+)/im.exec(text.slice(0, headEnd + 2))
  return length === null ? text.endsWith('\r\n0\r\n\r\n') : text.length >= headEnd + 4 + Number(length[1])
}

/** Milliseconds of each request → how many there were, and how long they took. */
export function timesOf(samples) {
  const sorted = Float64Array.from(samples).sort()
  const at = (share) => sorted[Math.min(sorted.length - 1, Math.ceil(share * sorted.length) - 1)]
  return { requests: sorted.length, p50Ms: at(0.5), p99Ms: at(0.99), p999Ms: at(0.999), maxMs: at(1) }
}
