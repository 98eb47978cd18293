/** One series of a scrape. */
interface Sample {
  readonly name: string
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
}

export interface ScrapedFamily {
  readonly name: string
  readonly type: string
  readonly help: string
  readonly samples: readonly Sample[]
}

const NAME = '[a-zA-Z_:][a-zA-Z0-9_:]*'
const HEAD = new RegExp(`^# HELP (${NAME}) (.+)\n# TYPE \\1 (counter|gauge|histogram|summary)\n`)
const SAMPLE = new RegExp(`^(${NAME})(?:\\{(.+)\\})? (\\S+)$`)
const LABEL = /([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"(?:,|$)/gy
const NUMBER = /^(NaN|Nan|[+-]Inf|[+-]?\d+(\.\d+)?(e[+-]?\d+)?)$/

/**
 * Reads Prometheus' text format, version 0.0.4, as strictly as its document: HELP and TYPE come once and first, the samples of a family
 * stand together, no series comes twice. @throws Error with the line that breaks a rule.
 */
export function parseScrape(text: string): ReadonlyMap<string, ScrapedFamily> {
  if (!text.endsWith('\n')) throw new Error('the last line does not end')
  const families = text.split(/^(?=# HELP )/m).map(parseFamily)
  refuseTwice(families.map(({ name }) => name))
  return new Map(families.map((family) => [family.name, family]))
}

function parseFamily(text: string): ScrapedFamily {
  const head = HEAD.exec(text)
  if (head === null) throw new Error(`no HELP and TYPE: ${text.slice(0, 200)}`)
  const [all, name = '', help = '', type = ''] = head
  const lines = text.slice(all.length).split('\n')
  const samples = lines.filter((line) => line !== '').map(parseSample)
  const stray = samples.find((sample) => !belongs(sample.name, { name, type }))
  if (stray !== undefined) throw new Error(`${stray.name} stands below ${name}`)
  refuseTwice(samples.map((sample) => JSON.stringify([sample.name, sample.labels])))
  return { name, type, help, samples }
}

function parseSample(line: string): Sample {
  const [, name, labelText = '', number = ''] = SAMPLE.exec(line) ?? []
  if (name === undefined || !NUMBER.test(number)) throw new Error(`no sample: ${line}`)
  const labels = [...labelText.matchAll(LABEL)]
  if (labels.map(([all]) => all).join('') !== labelText) throw new Error(`labels nobody can read: ${line}`)
  return {
    name,
    labels: Object.fromEntries(labels.map(([, key = '', value = '']) => [key, unescaped(value)])),
    value: Number(number.replace('Inf', 'Infinity')),
  }
}

function unescaped(value: string): string {
  return value.replaceAll(/\\(.)/g, (_all, next: string) => (next === 'n' ? '\n' : next))
}

function refuseTwice(names: readonly string[]): void {
  const seen = new Set<string>()
  for (const name of names) {
    if (seen.has(name)) throw new Error(`twice: ${name}`)
    seen.add(name)
  }
}

function belongs(name: string, family: Pick<ScrapedFamily, 'name' | 'type'>): boolean {
  if (name === family.name) return family.type !== 'histogram'
  const suffix = name.startsWith(family.name) ? name.slice(family.name.length) : ''
  return family.type === 'histogram'
    ? ['_bucket', '_sum', '_count'].includes(suffix)
    : family.type === 'summary' && ['_sum', '_count'].includes(suffix)
}

/** The value of the one series with these labels; undefined when there is none. @throws Error when there are several. */
export function valueOf(
  families: ReadonlyMap<string, ScrapedFamily>,
  name: string,
  labels: Readonly<Record<string, string>> = {},
): number | undefined {
  const family = families.get(name) ?? families.get(name.replace(/_(bucket|sum|count)$/, ''))
  const found = (family?.samples ?? []).filter(
    (sample) =>
      sample.name === name && Object.entries(labels).every(([key, value]) => sample.labels[key] === value),
  )
  if (found.length > 1) throw new Error(`${found.length} series of ${name} have these labels`)
  return found[0]?.value
}
