import { corsOf, textOrNone } from './api-settings.ts'
import { isServed } from './findings.ts'
import { addApiRoute, apiRoute, formatOf, splitRouteKey } from './routes.ts'
import { first, nameOf, warnOfPlan, type PlanContext } from './terraform-context.ts'
import type { PlannedResource } from './terraform-plan.ts'

/** A route of an HTTP API, with its integration. */
export function addPlannedRoute(context: PlanContext, route: PlannedResource): void {
  const { plan, findings, node } = context
  const routeKey = textOrNone(route.values['route_key']) ?? ''
  const api = plan.referenced(route, 'api_id', 'aws_apigatewayv2_api')
  if (api?.values['protocol_type'] === 'WEBSOCKET') {
    warnOfPlan(context, 'routes of WebSocket APIs are not read from a plan')
    return
  }
  const integration = plan.referenced(route, 'target', 'aws_apigatewayv2_integration')
  const target = plan.referenced(integration, 'integration_uri', 'aws_lambda_function')
  const name = target === undefined ? undefined : nameOf(target)
  if (!isServed(findings, name)) {
    warnOfPlan(context, `${route.address}: ${routeKey} leads to no function that runs here`)
    return
  }
  const cors = corsOf(first(api?.values['cors_configuration']), {})
  const rule = apiRoute({
    functionName: name,
    frontEnd: 'http-api',
    ...splitRouteKey(routeKey),
    origin: node.place,
    options: {
      apiId: api?.name,
      stage: '$default',
      payloadFormat: formatOf(textOrNone(integration?.values['payload_format_version'])),
      ...(cors === undefined ? {} : { cors }),
    },
  })
  addApiRoute(findings.routes, rule)
}
