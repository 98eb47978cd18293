/** RouteSelectionExpression of an API that says nothing. */
const DEFAULT_SELECTION = '$request.body.action'

/** `$request.body.a.b` and `${request.body.a.b}`; a dollar after a backslash is one. */
const VARIABLES = /\\\$|\$\{request\.body\.([^}]+)\}|\$request\.body\.([\w-]+(?:\.[\w-]+)*)/g

/**
 * What a route selection expression makes of a message; undefined where the message is no JSON or has not all that is asked for.
 * Source: API Gateway guide, WebSocket selection expressions.
 */
export function evaluateSelection(expression: string, message: string): string | undefined {
  const body = parsed(message)
  if (body === undefined) return undefined
  let complete = true
  const key = expression.replace(VARIABLES, (found, braced?: string, bare?: string) => {
    const path = braced ?? bare
    if (path === undefined) return found.slice(1)
    const value = valueAt(body, path)
    if (value === undefined) complete = false
    return value ?? ''
  })
  return complete ? key : undefined
}

/** `a.b` in an object; texts, numbers and booleans can be part of a key. */
function valueAt(body: unknown, path: string): string | undefined {
  let value = body
  for (const name of path.split('.')) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, name)) return undefined
    value = (value as Readonly<Record<string, unknown>>)[name]
  }
  if (typeof value === 'string') return value
  return typeof value === 'number' || typeof value === 'boolean' ? String(value) : undefined
}

function parsed(message: string): unknown {
  try {
    return JSON.parse(message)
  } catch {
    return undefined
  }
}

/** The three that no message can ask for by name. */
const LIFE_CYCLE = new Set(['$connect', '$disconnect', '$default'])

/** The route of a message: the one it names, else `$default`; undefined when there is neither. */
export function routeKeyOf(
  {
    selection = DEFAULT_SELECTION,
    routes,
  }: { readonly selection?: string | undefined; readonly routes: object },
  message: string,
): string | undefined {
  const key = evaluateSelection(selection, message)
  if (key !== undefined && !LIFE_CYCLE.has(key) && Object.hasOwn(routes, key)) return key
  return Object.hasOwn(routes, '$default') ? '$default' : undefined
}
