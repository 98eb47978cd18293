import { invalidParameter, invalidValue } from './api-error.ts'

/** A function as callers name it. */
export interface FunctionReference {
  readonly name: string
  /** `$LATEST`, a version or an alias; undefined when the caller names none. */
  readonly qualifier: string | undefined
}

/** name, name:qualifier, account:function:name, function:name or a whole ARN; each with or without qualifier. */
const REFERENCE =
  /^(?:(?:arn:aws[a-zA-Z-]*:lambda:)?(?:[a-z]{2}(?:-[a-z]+)+-\d:)?(?:\d{12}:)?function:)?([a-zA-Z0-9_-]+)(?::(\$LATEST|[a-zA-Z0-9_-]+))?$/

/**
 * Account and region are not looked at: what runs here stands for every deployment of it, and code often has a whole ARN in its variables.
 * @throws ApiError ValidationException for what is no name, InvalidParameterValueException when two qualifiers disagree.
 */
export function parseFunctionName(text: string, qualifier?: string): FunctionReference {
  const [, name, own] = REFERENCE.exec(text) ?? []
  if (name === undefined || text.length > 170) {
    throw invalidValue(
      text,
      'functionName',
      'Member must satisfy regular expression pattern: (arn:(aws[a-zA-Z-]*)?:lambda:)?((eusc-)?[a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\\d{1}:)?(\\d{12}:)?(function:)?([a-zA-Z0-9-_]+)(:(\\$LATEST|[a-zA-Z0-9-_]+))?',
    )
  }
  if (qualifier !== undefined && !/^(\$LATEST|[a-zA-Z0-9_-]{1,128})$/.test(qualifier)) {
    throw invalidValue(
      qualifier,
      'qualifier',
      'Member must satisfy regular expression pattern: (|[a-zA-Z0-9$_-]+)',
    )
  }
  if (own !== undefined && qualifier !== undefined && own !== qualifier) {
    throw invalidParameter(
      'The derived qualifier from the function name does not match the specified qualifier.',
    )
  }
  return { name, qualifier: qualifier ?? own }
}
