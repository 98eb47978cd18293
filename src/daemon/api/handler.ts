import type { Readable } from 'node:stream'

import { FlexiError } from '../../core/errors.ts'
import type { Accounts } from '../accounts.ts'
import type { ControlPlane } from '../control-plane.ts'
import type { Caller, FunctionKey } from '../model.ts'
import type { AnswerOf, ParsedBodyOf, ParsedParametersOf, ParsedQueryOf } from './schemas/operation.ts'
import type { OperationId, Operations } from './schemas/operations.ts'

/** What operations are done with. */
export interface ApiBase {
  readonly control: ControlPlane
  readonly accounts: Accounts
}

/** A request that is understood, and whose caller may ask it. */
export interface Asked<Id extends OperationId> {
  readonly caller: Caller
  readonly parameters: ParsedParametersOf<Operations[Id]>
  readonly query: ParsedQueryOf<Operations[Id]>
  readonly body: ParsedBodyOf<Operations[Id]>
  /** Of operations that take bytes. */
  readonly content: Readable
  /** Aborts when the client goes. */
  readonly signal: AbortSignal
  /** Aborts when the daemon is about to stop, too. */
  readonly watching: AbortSignal
}

type Answered<Id extends OperationId> = Operations[Id]['answer'] extends { readonly kind: 'lines' }
  ? AsyncIterable<AnswerOf<Operations[Id]>>
  : AnswerOf<Operations[Id]> | Promise<AnswerOf<Operations[Id]>>

/** Does one operation: what it returns is the answer. */
type Handler<Id extends OperationId> = (asked: Asked<Id>, base: ApiBase) => Answered<Id>

export type Handlers<Id extends OperationId = OperationId> = { readonly [K in Id]: Handler<K> }

/** `hello@v3` as its schema has let it pass. */
export function keyOf(reference: string): FunctionKey {
  const at = reference.indexOf('@')
  return { name: reference.slice(0, at), version: reference.slice(at + 1) }
}

/** @throws FlexiError FLEXI_NO_INPUT (404) */
export function notFound(what: string): FlexiError {
  return new FlexiError('FLEXI_NO_INPUT', `there is no ${what}`)
}
