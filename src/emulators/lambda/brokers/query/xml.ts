/** What is written as XML. A Map is a map of the query protocol, an array a list; undefined is left out. */
export type XmlValue =
  | string
  | number
  | boolean
  | undefined
  | readonly XmlValue[]
  | ReadonlyMap<string, string>
  | XmlObject

export interface XmlObject {
  readonly [name: string]: XmlValue
}

export function element(name: string, value: XmlValue): string {
  return value === undefined ? '' : `<${name}>${content(value)}</${name}>`
}

/** What stands between the tags. */
export function content(value: XmlValue): string {
  if (value === undefined) return ''
  if (typeof value !== 'object') return escaped(String(value))
  if (isList(value)) return value.map((one) => element('member', one)).join('')
  if (isMap(value)) return [...value].map(([key, one]) => element('entry', { key, value: one })).join('')
  return Object.entries(value)
    .map(([name, one]) => element(name, one))
    .join('')
}

function isList(value: object): value is readonly XmlValue[] {
  return Array.isArray(value)
}

function isMap(value: object): value is ReadonlyMap<string, string> {
  return value instanceof Map
}

/** A carriage return would come out of an XML parser as a line feed. What XML cannot hold is a question mark. */
function escaped(text: string): string {
  return text.replaceAll(UNSAFE, (character) => ESCAPES[character] ?? '?')
}

const UNSAFE = /[&<>"\r]|[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]/gu
const ESCAPES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  '\r': '&#xD;',
}
