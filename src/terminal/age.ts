const UNITS: readonly (readonly [seconds: number, name: string])[] = [
  [86_400, 'd'],
  [3600, 'h'],
  [60, 'min'],
  [1, 's'],
]

/** `3 min ago`, `now`, `in 9 d`: one unit, rounded down. Times are milliseconds since the epoch. */
export function age(time: number, now: number): string {
  const seconds = Math.floor(Math.abs(now - time) / 1000)
  const [unit, name] = UNITS.find(([length]) => seconds >= length) ?? [1, 's']
  if (seconds === 0) return 'now'
  const text = `${Math.floor(seconds / unit)} ${name}`
  return time > now ? `in ${text}` : `${text} ago`
}

/** `2026-11-21 14:03:09`, local time. */
export function dateTime(time: number): string {
  const date = new Date(time)
  const part = (value: number): string => String(value).padStart(2, '0')
  const day = [date.getFullYear(), part(date.getMonth() + 1), part(date.getDate())].join('-')
  return `${day} ${[date.getHours(), date.getMinutes(), date.getSeconds()].map(part).join(':')}`
}
