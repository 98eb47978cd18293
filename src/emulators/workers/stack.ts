import { SourceMap, type SourceMapPayload } from 'node:module'
import { resolve } from 'node:path'

import type { Fault } from '../../core/place.ts'
import { FACADE_NAME } from './facade.ts'

/** Turns places in a bundle into places in the files it was made from. */
export interface StackReader {
  /** A stack, or any text with frames in it, as V8 prints it: `file:///p/index.js:3:10` → `/p/src/index.ts:1:7`. */
  map(text: string): string
  /** The first frame in the user's own code: not in a package, not in ours. */
  frame(stack: string): Fault | undefined
}

export interface StackOptions {
  /** The bundle's file name in the worker. */
  readonly name: string
  readonly sourceMap: string | undefined
  /** Where the map's relative sources start. */
  readonly directory: string
}

interface Origin {
  readonly file: string
  readonly line: number
  readonly column: number
}

/** The map is parsed at the first stack, because most runs never see one. */
export function createStackReader({ name, sourceMap, directory }: StackOptions): StackReader {
  let parsed: { map: SourceMap; payload: SourceMapPayload } | undefined
  const load = (): typeof parsed => {
    if (parsed === undefined && sourceMap !== undefined) {
      const payload = JSON.parse(sourceMap) as SourceMapPayload
      parsed = { map: new SourceMap(payload), payload }
    }
    return parsed
  }
  const originOf = (line: number, column: number): Origin | undefined => {
    const entry = load()?.map.findEntry(line - 1, column - 1)
    if (entry === undefined || !('originalSource' in entry)) return undefined
    const { originalSource, originalLine, originalColumn } = entry
    return { file: resolve(directory, originalSource), line: originalLine + 1, column: originalColumn + 1 }
  }
  const places = new RegExp(`(?:file://)?[^\\s()"']*?\\b${escapeLiteral(name)}:(\\d+):(\\d+)`, 'g')
  const originsIn = (stack: string): Origin[] =>
    [...stack.matchAll(places)].flatMap(([, line, column]) => originOf(Number(line), Number(column)) ?? [])
  return {
    map: (text) =>
      withoutOurFrames(text).replace(places, (match, line: string, column: string) => {
        const origin = originOf(Number(line), Number(column))
        return origin === undefined ? match : `${origin.file}:${origin.line}:${origin.column}`
      }),
    frame(stack) {
      const own = originsIn(stack).find(({ file }) => !file.includes('/node_modules/'))
      if (own === undefined) return undefined
      const text = sourceLine(load()?.payload, directory, own)
      const message = stack.split('\n')[0] ?? ''
      return { place: own, message, ...(text === undefined ? {} : { text }) }
    },
  }
}

function withoutOurFrames(text: string): string {
  return text.includes(FACADE_NAME)
    ? text
        .split('\n')
        .filter((line) => !line.includes(FACADE_NAME))
        .join('\n')
    : text
}

function sourceLine(
  payload: SourceMapPayload | undefined,
  directory: string,
  { file, line }: Origin,
): string | undefined {
  const index = payload?.sources.findIndex((source) => resolve(directory, source) === file) ?? -1
  return payload?.sourcesContent[index]?.split('\n')[line - 1]?.replace(/\r$/, '')
}

function escapeLiteral(text: string): string {
  return text.replace(/[.*+?^$()|[\]\\{}]/g, '\\$&')
}
