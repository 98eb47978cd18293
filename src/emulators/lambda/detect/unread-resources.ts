import type { Findings } from './findings.ts'
import { isRead } from './stack-resources.ts'
import { resourcesOf, typeOf } from './template.ts'
import { faultAt, type YamlNode } from './yaml-file.ts'

/** Resources that mean nothing to a function that runs here, or that are part of what does. */
const SILENT =
  /^AWS::(IAM|Logs|CloudFormation|CloudWatch|CDK|Lambda::(Permission|Url|Version|LayerVersion|LayerVersionPermission)|SNS::TopicPolicy|SQS::QueuePolicy|S3::BucketPolicy|Events::EventBusPolicy|Scheduler::ScheduleGroup|SSM|SecretsManager|KMS|ApiGateway|ApiGatewayV2::(Api|Route|RouteResponse|Integration|IntegrationResponse|Model|Stage|Authorizer|Deployment))(::|$)|^AWS::Serverless::(Function|Api|HttpApi|LayerVersion|Connector)$|^AWS::Lambda::Function$|^AWS::Serverless-|^Custom::/

/** One warning a type: what the cloud would have made, and nobody makes here. */
export function warnOfResources(root: YamlNode, findings: Findings): void {
  const byType = new Map<string, { readonly node: YamlNode; readonly ids: string[] }>()
  for (const [id, resource] of resourcesOf(root)) {
    const type = typeOf(resource)
    if (SILENT.test(type) || isRead(type)) continue
    const entry = byType.get(type) ?? { node: resource.get('Type') ?? resource, ids: [] }
    byType.set(type, entry)
    entry.ids.push(id)
  }
  for (const [type, { node, ids }] of byType) {
    const what = type === '' ? 'a resource without a Type' : type
    findings.faults.push(faultAt(node, `${what} is not emulated: ${ids.join(', ')}`, { severity: 'warning' }))
  }
}
