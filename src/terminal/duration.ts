/** `0.4 ms`, `14 ms`, `1.2 s`: three digits at most, since nobody reads more. */
export function duration(ms: number): string {
  if (ms < 9.95) return `${ms.toFixed(1)} ms`
  if (ms < 999.5) return `${ms.toFixed(0)} ms`
  return `${(ms / 1000).toFixed(1)} s`
}

/** `14:03:09`, local time. */
export function clock(time: Date): string {
  const part = (value: number): string => String(value).padStart(2, '0')
  return `${part(time.getHours())}:${part(time.getMinutes())}:${part(time.getSeconds())}`
}

/** `512 B`, `1.4 kB`, `3.2 MB`. */
export function byteSize(bytes: number): string {
  if (bytes < 1000) return `${bytes} B`
  if (bytes < 999_950) return `${(bytes / 1000).toFixed(1)} kB`
  return `${(bytes / 1_000_000).toFixed(1)} MB`
}
