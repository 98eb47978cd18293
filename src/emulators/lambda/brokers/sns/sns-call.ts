import type { FormNode } from '../query/query-form.ts'
import type { XmlObject } from '../query/xml.ts'
import type { Topics } from './topics.ts'

/** One request of SNS's API. */
export interface SnsCall {
  readonly form: FormNode
  readonly topics: Topics
  /** Where a subscription is confirmed: what the query is put after. */
  readonly endpoint: string
}

/** Undefined is an answer without a result. */
export type SnsAction = (call: SnsCall) => XmlObject | undefined
