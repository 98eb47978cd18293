import { ACCOUNT_ID, functionArn } from '../definition.ts'
import { functionOfArn } from './api-settings.ts'
import { functionName } from './findings.ts'
import { resourcesOf, typeOf, type Template } from './template.ts'
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
  const ofFunction = publishedReference(name, template)
  if (ofFunction !== undefined) return ofFunction
  if (template.isWhole && !IMPLICIT.has(name)) {
    const message = `${name} is neither a parameter nor a resource of this file; it stands for itself`
    template.warn(faultAt(from, message, { severity: 'warning' }))
  }
  return name
}

/** `!Ref Hello.Alias`: what SAM makes for `AutoPublishAlias`. */
function publishedReference(name: string, template: Template): string | undefined {
  const [id = '', part] = name.split('.')
  const resource = template.root.at('Resources', id)
  if (resource === undefined || (part !== 'Alias' && part !== 'Version')) return undefined
  const alias = part === 'Alias' ? template.text(resource.at('Properties', 'AutoPublishAlias')) : '1'
  return alias === undefined ? undefined : `${functionArn(awsNameIn(template, id), template.region)}:${alias}`
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
  'AWS::Serverless::StateMachine': ['Name', 'states', 'stateMachine:'],
  'AWS::Events::Rule': ['Name', 'events', 'rule/'],
  'AWS::Scheduler::Schedule': ['Name', 'scheduler', 'schedule/default/'],
  'AWS::SecretsManager::Secret': ['Name', 'secretsmanager', 'secret:'],
  'AWS::Lambda::LayerVersion': ['LayerName', 'lambda', 'layer:'],
  'AWS::Serverless::LayerVersion': ['LayerName', 'lambda', 'layer:'],
}

/** Types whose `Ref` is an ARN. */
const REF_IS_ARN = new Set([
  'AWS::SNS::Topic', 'AWS::Lambda::LayerVersion', 'AWS::Serverless::LayerVersion', 'AWS::StepFunctions::StateMachine',
  'AWS::Serverless::StateMachine', 'AWS::SecretsManager::Secret',
]) // prettier-ignore

function resourceReference(id: string, resource: YamlNode, template: Template): Value {
  const type = typeOf(resource)
  if (isFunction(type)) return awsNameIn(template, id)
  const name = resourceName(id, resource, template)
  if (type === 'AWS::SQS::Queue') return `https://sqs.${template.region}.amazonaws.com/${ACCOUNT_ID}/${name}`
  if (type === 'AWS::Lambda::Alias' || type === 'AWS::Lambda::Version')
    return qualifiedArn(resource, template)
  return REF_IS_ARN.has(type) ? resourceArn(id, resource, template) : name
}

/** `arn:…:function:hello:live`; of a version the first one, which is what is served here. */
function qualifiedArn(resource: YamlNode, template: Template): string {
  const said = template.text(resource.at('Properties', 'FunctionName')) ?? ''
  const arn = said.startsWith('arn:') ? said : functionArn(said, template.region)
  return `${arn}:${template.text(resource.at('Properties', 'Name')) ?? '1'}`
}

/** How AWS calls the function of a resource. */
function awsNameIn(template: Template, id: string): string {
  return (
    template.text(template.root.at('Resources', id, 'Properties', 'FunctionName')) ?? nameIn(template, id)
  )
}

/** What the function is called here that a name of AWS or an ARN means, with or without a qualifier. Undefined for one of another file. */
export function functionMeant(text: string | undefined, template: Template): string | undefined {
  const name = functionOfArn(text) ?? text
  const found = resourcesOf(template.root).find(
    ([id, one]) => isFunction(typeOf(one)) && awsNameIn(template, id) === name,
  )
  return found === undefined ? undefined : nameIn(template, found[0])
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
  const said = property === undefined ? undefined : template.text(resource.at('Properties', property))
  return said ?? (isFifo(resource, template) ? `${id}.fifo` : id)
}

/** AWS makes up names that end so for queues and topics that keep an order. */
function isFifo(resource: YamlNode, template: Template): boolean {
  const said = resource.at('Properties', 'FifoQueue') ?? resource.at('Properties', 'FifoTopic')
  return said !== undefined && template.text(said) === 'true'
}

function resourceArn(id: string, resource: YamlNode, template: Template): string {
  const [, service, prefix] = NAMED[typeOf(resource)] ?? []
  const name = resourceName(id, resource, template)
  if (service === undefined) return `${id}.Arn`
  if (service === 'lambda') return `arn:aws:lambda:${template.region}:${ACCOUNT_ID}:${prefix}${name}:1`
  return service === 's3'
    ? `arn:aws:s3:::${name}`
    : `arn:aws:${service}:${template.region}:${ACCOUNT_ID}:${prefix}${name}`
}

const NAMES = new Set(['QueueName', 'TopicName', 'Name', 'TableName', 'BucketName', 'ApiId', 'RestApiId'])

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
    return functionArn(awsNameIn(template, id), template.region)
  if (name === 'StreamArn') return `${resourceArn(id, resource, template)}/stream/latest`
  if (name === 'AliasArn' || name === 'FunctionArn') return resourceReference(id, resource, template)
  if (name === 'Arn' || name === 'TopicArn') return resourceArn(id, resource, template)
  if (name === 'QueueUrl') return resourceReference(id, resource, template)
  return NAMES.has(name) ? resourceName(id, resource, template) : undefined
}
