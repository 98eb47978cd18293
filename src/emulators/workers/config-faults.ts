import { stripVTControlCharacters } from 'node:util'

import type { Diagnostics } from '@cloudflare/workers-utils'
import type { Node } from 'jsonc-parser'

import { placeAt, type Fault } from '../../core/place.ts'

export interface ConfigText {
  readonly file: string
  readonly text: string
}

/** `kv_namespaces[1].id` → ['kv_namespaces', 1, 'id'] */
export type KeyPath = readonly (string | number)[]

/** Finds the offset of a key, or of the nearest one around it. */
type Locate = (path: KeyPath) => { offset: number; depth: number }

/** Cloudflare's diagnostics name keys in prose; this puts each at the line of the key it names. */
export async function locateDiagnostics(
  diagnostics: Diagnostics,
  { file, text }: ConfigText,
): Promise<readonly Fault[]> {
  // Some messages come in bold.
  const found = flatten(diagnostics, []).map((one) => ({
    ...one,
    message: stripVTControlCharacters(one.message),
  }))
  if (found.length === 0) return []
  const locate = await locatorOf(file, text)
  return found.map(({ message, severity, scope }) => {
    const candidates = keyPaths(message).flatMap((path) => [[...scope, ...path], path])
    const best = [scope, ...candidates]
      .map((path) => locate(path))
      .reduce((a, b) => (b.depth > a.depth ? b : a))
    const [head = '', ...rest] = message.trim().split('\n')
    const hint = rest.join(' ').trim()
    return {
      ...placeAt(file, text, best.offset),
      message: head,
      severity,
      ...(hint === '' ? {} : { hint }),
    }
  })
}

/** An error about a key that Cloudflare's validation lets pass. */
export async function faultAt(
  { file, text }: ConfigText,
  path: KeyPath,
  { message, hint }: { readonly message: string; readonly hint: string },
): Promise<Fault> {
  const locate = await locatorOf(file, text)
  return { ...placeAt(file, text, locate(path).offset), message, hint }
}

function locatorOf(file: string, text: string): Locate | Promise<Locate> {
  return file.endsWith('.toml') ? tomlLocator(text) : jsonLocator(text)
}

interface Found {
  readonly message: string
  readonly severity: 'error' | 'warning'
  /** The part of the file the message is about. */
  readonly scope: KeyPath
}

function flatten(diagnostics: Diagnostics, scope: KeyPath): Found[] {
  // What is a key is quoted there; the name of the file is not.
  const [named] = diagnostics.description.includes('"') ? keyPaths(diagnostics.description) : []
  const here = named === undefined ? scope : [...scope, ...named]
  return [
    ...diagnostics.errors
      .flatMap(oneKeyEach)
      .map((message) => ({ message, severity: 'error' as const, scope: here })),
    ...diagnostics.warnings
      .flatMap(oneKeyEach)
      .map((message) => ({ message, severity: 'warning' as const, scope: here })),
    ...diagnostics.children.flatMap((child) => flatten(child, here)),
  ]
}

const UNEXPECTED = /Unexpected fields found in (\S+) field: (.+)/

/** A message about several unknown keys is one about each, so that each is at its line. */
function oneKeyEach(message: string): readonly string[] {
  const [whole, parent, list] = UNEXPECTED.exec(message) ?? []
  if (whole === undefined || list === undefined) return [message]
  return list.split(',').map((key) => `Unexpected fields found in ${parent} field: ${key}`)
}

/** Everything in a message that may be a key: `"limits.cpu_ms"`, and `kv_namespaces[1]` with `"bindng"` in it. */
export function keyPaths(message: string): readonly KeyPath[] {
  const unexpected = /Unexpected fields found in (\S+) field: "([^"]+)"/.exec(message)
  if (unexpected?.[1] !== undefined && unexpected[2] !== undefined) {
    const parent = unexpected[1] === 'top-level' ? [] : keyPath(unexpected[1])
    return [[...parent, unexpected[2]]]
  }
  const quoted = message.matchAll(/"([\w$-]+(?:\.[\w$-]+|\[\d+\])*)"/g)
  const bare = message.matchAll(/(?<!["\w])([a-z]\w*(?:\.\w+|\[\d+\])+)/g)
  return [...quoted, ...bare].map((match) => keyPath(match[1] ?? ''))
}

function keyPath(text: string): KeyPath {
  return text
    .split(/[.[\]]+/)
    .filter((segment) => segment !== '')
    .map((segment) => (/^\d+$/.test(segment) ? Number(segment) : segment))
}

async function jsonLocator(text: string): Promise<Locate> {
  const { findNodeAtLocation, parseTree } = await import('jsonc-parser')
  const tree = parseTree(text)
  return (path) => {
    for (let depth = path.length; tree !== undefined && depth > 0; depth -= 1) {
      const node = findNodeAtLocation(tree, path.slice(0, depth))
      if (node !== undefined) return { offset: keyOffset(node), depth }
    }
    return { offset: tree?.offset ?? 0, depth: 0 }
  }
}

/** A property is shown at its key, an item of a list at itself. */
function keyOffset(node: Node): number {
  return node.parent?.type === 'property' ? node.parent.offset : node.offset
}

/** TOML has no tree here: the line that sets the key, in the table that the path names. */
function tomlLocator(text: string): Locate {
  const lines = tomlKeys(text)
  return (path) => {
    for (let depth = path.length; depth > 0; depth -= 1) {
      const wanted = path.slice(0, depth).join('.')
      const line = lines.find(({ key }) => key === wanted)
      if (line !== undefined) return { offset: line.offset, depth }
    }
    return { offset: 0, depth: 0 }
  }
}

function tomlKeys(text: string): readonly { key: string; offset: number }[] {
  const keys: { key: string; offset: number }[] = []
  const counts = new Map<string, number>()
  let table = ''
  let offset = 0
  for (const line of text.split('\n')) {
    const indent = line.length - line.trimStart().length
    const list = /^\s*\[\[\s*([\w.-]+)\s*\]\]/.exec(line)?.[1]
    const single = /^\s*\[\s*([\w.-]+)\s*\]/.exec(line)?.[1]
    const key = /^\s*["']?([\w.-]+)["']?\s*=/.exec(line)?.[1]
    if (list !== undefined) {
      const index = counts.get(list) ?? 0
      counts.set(list, index + 1)
      table = `${list}.${index}`
      keys.push({ key: list, offset: offset + indent }, { key: table, offset: offset + indent })
    } else if (single !== undefined) {
      table = single
      keys.push({ key: table, offset: offset + indent })
    } else if (key !== undefined)
      keys.push({ key: table === '' ? key : `${table}.${key}`, offset: offset + indent })
    offset += line.length + 1
  }
  return keys
}
