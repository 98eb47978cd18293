import { ACCOUNT_ID, functionArn } from '../definition.ts'
import { functionName } from './findings.ts'
import { typeOf, type Template } from './template.ts'
import type { Value } from './value.ts'
import { faultAt, type YamlNode } from './yaml-file.ts'

/** A parameter's value, or a resource's own name: the emulated cloud calls things what the template calls them. */
export function reference(name: string, template: Template, from: YamlNode): Value | undefined {
  if (name === 'AWS::NoValue') return undefined
  const pseudo = pseudoParameter(name, template)
  if (pseudo !== undefined) return pseudo
  const parameter = template.root.at('Parameters', name)
  if (parameter !== undefined) return parameterValue(name, parameter, template)
  const resource = template.root.at('Resources', name)
  if (resource !== undefined) return resourceReference(name, resource, template)
  if (template.isWhole && !IMPLICIT.has(name)) {
    const message = `${name} is neither a parameter nor a resource of this file; it stands for itself`
    template.warn(faultAt(from, message, { severity: 'warning' }))
  }
  return name
}

/** Resources that SAM makes by itself. */
const IMPLICIT = new Set(['ServerlessRestApi', 'ServerlessHttpApi', 'ServerlessRestApiProdStage'])

function pseudoParameter(name: string, { region, stackName }: Template): Value | undefined {
  const values: Readonly<Record<string, Value>> = {
    'AWS::Region': region,
    'AWS::AccountId': ACCOUNT_ID,
    'AWS::Partition': 'aws',
    'AWS::StackName': stackName,
    'AWS::StackId': `arn:aws:cloudformation:${region}:${ACCOUNT_ID}:stack/${stackName}/local`,
    'AWS::URLSuffix': 'amazonaws.com',
    'AWS::NotificationARNs': [],
  }
  return values[name]
}

function parameterValue(name: string, parameter: YamlNode, template: Template): Value {
  const type = typeOf(parameter)
  // Such a parameter's value is a name in a store of the cloud, and what it stands for is there.
  if (type.startsWith('AWS::SSM::Parameter::Value')) return keptInTheCloud(name, parameter, template)
  const given = template.parameters.get(name) ?? parameter.get('Default')?.value
  if (given !== undefined) return isList(type) ? itemsOf(String(given)) : given
  if (parameter.get('Default')?.kind !== 'null')
    template.warn(
      faultAt(parameter, `parameter ${name} has no Default; it is empty`, {
        severity: 'warning',
        hint: 'Give it a Default, or a value in parameter_overrides of samconfig.toml.',
      }),
    )
  return ''
}

function keptInTheCloud(name: string, parameter: YamlNode, template: Template): Value {
  template.warn(
    faultAt(parameter, `parameter ${name} is kept in the cloud; it is empty here`, {
      severity: 'warning',
      hint: 'Set the variables that it goes into in flexi.jsonc or in an env file.',
    }),
  )
  return ''
}

function isList(type: string): boolean {
  return type === 'CommaDelimitedList' || type.startsWith('List<')
}

function itemsOf(text: string): readonly string[] {
  return text.split(',').map((item) => item.trim())
}

/** Types whose resources have a name of their own: its property, and how their ARN goes on after the account. */
const NAMED: Readonly<Record<string, readonly [property: string, service: string, prefix: string]>> = {
  'AWS::DynamoDB::Table': ['TableName', 'dynamodb', 'table/'],
  'AWS::DynamoDB::GlobalTable': ['TableName', 'dynamodb', 'table/'],
  'AWS::Serverless::SimpleTable': ['TableName', 'dynamodb', 'table/'],
  'AWS::SQS::Queue': ['QueueName', 'sqs', ''],
  'AWS::SNS::Topic': ['TopicName', 'sns', ''],
  'AWS::Kinesis::Stream': ['Name', 'kinesis', 'stream/'],
  'AWS::Events::EventBus': ['Name', 'events', 'event-bus/'],
  'AWS::Logs::LogGroup': ['LogGroupName', 'logs', 'log-group:'],
  'AWS::S3::Bucket': ['BucketName', 's3', ''],
  'AWS::SSM::Parameter': ['Name', 'ssm', 'parameter'],
  'AWS::StepFunctions::StateMachine': ['StateMachineName', 'states', 'stateMachine:'],
}

function resourceReference(id: string, resource: YamlNode, template: Template): Value {
  const type = typeOf(resource)
  if (isFunction(type)) return nameIn(template, id)
  const name = resourceName(id, resource, template)
  if (type === 'AWS::SQS::Queue') return `https://sqs.${template.region}.amazonaws.com/${ACCOUNT_ID}/${name}`
  return type === 'AWS::SNS::Topic' ? resourceArn(id, resource, template) : name
}

/** What the function of a resource is called here. */
export function nameIn({ names }: Template, id: string): string {
  return names?.get(id) ?? functionName(id)
}

function isFunction(type: string): boolean {
  return type === 'AWS::Serverless::Function' || type === 'AWS::Lambda::Function'
}

function resourceName(id: string, resource: YamlNode, template: Template): string {
  const [property] = NAMED[typeOf(resource)] ?? []
  return (property === undefined ? undefined : template.text(resource.at('Properties', property))) ?? id
}

function resourceArn(id: string, resource: YamlNode, template: Template): string {
  const [, service, prefix] = NAMED[typeOf(resource)] ?? []
  const name = resourceName(id, resource, template)
  if (service === undefined) return `${id}.Arn`
  return service === 's3'
    ? `arn:aws:s3:::${name}`
    : `arn:aws:${service}:${template.region}:${ACCOUNT_ID}:${prefix}${name}`
}

const NAMES = new Set(['QueueName', 'TopicName', 'Name', 'TableName'])

/** `Table.Arn` where it can be told; otherwise what was asked for, as it was written. */
export function attribute(path: readonly string[], template: Template, from: YamlNode): Value {
  const [id = '', ...rest] = path
  const resource = template.root.at('Resources', id)
  if (resource !== undefined)
    return attributeOf({ id, name: rest.join('.'), resource }, template) ?? path.join('.')
  if (template.isWhole && !IMPLICIT.has(id)) {
    const message = `there is no resource ${id} in this file; ${path.join('.')} stands for itself`
    template.warn(faultAt(from, message, { severity: 'warning' }))
  }
  return path.join('.')
}

interface Attribute {
  readonly id: string
  readonly name: string
  readonly resource: YamlNode
}

function attributeOf({ id, name, resource }: Attribute, template: Template): Value | undefined {
  if (isFunction(typeOf(resource)) && name === 'Arn')
    return functionArn(nameIn(template, id), template.region)
  if (name === 'Arn' || name === 'TopicArn') return resourceArn(id, resource, template)
  if (name === 'QueueUrl') return resourceReference(id, resource, template)
  return NAMES.has(name) ? resourceName(id, resource, template) : undefined
}
