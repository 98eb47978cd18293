/** Whose protocol a request speaks. */
export type RequestKind = 'sqs' | 'events' | 'query' | 's3-events'

interface KnownRequest {
  readonly method: string
  /** Below the mount. */
  readonly target: string
  /** name, value, name, value … */
  readonly fields: readonly string[]
}

/** Told by fields and target alone; undefined for what is of no broker. */
export function requestKind({ method, target, fields }: KnownRequest): RequestKind | undefined {
  if (pathIs(target, '/s3-events')) return 's3-events'
  if (method === 'GET') return target.includes('?') && /[?&]Action=/.test(target) ? 'query' : undefined
  if (method !== 'POST') return undefined
  const action = fieldOf(fields, 'x-amz-target')
  if (action !== undefined) return kindOfAction(action)
  const type = fieldOf(fields, 'content-type')
  // Lambda's API takes no forms, and its paths begin with a date.
  return type?.startsWith('application/x-www-form-urlencoded') === true && !DATED.test(target)
    ? 'query'
    : undefined
}

function kindOfAction(action: string): RequestKind | undefined {
  if (action.startsWith('AmazonSQS.')) return 'sqs'
  return action.startsWith('AWSEvents.') ? 'events' : undefined
}

function pathIs(target: string, path: string): boolean {
  return target === path || target.startsWith(`${path}?`) || target.startsWith(`${path}/`)
}

function fieldOf(fields: readonly string[], name: string): string | undefined {
  for (let index = 0; index < fields.length; index += 2) {
    const field = fields[index]
    if (field?.length === name.length && field.toLowerCase() === name) return fields[index + 1]
  }
  return undefined
}

const DATED = /^\/\d{4}-\d{2}-\d{2}\//
