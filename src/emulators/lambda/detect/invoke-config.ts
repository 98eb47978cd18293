import { ACCOUNT_ID } from '../definition.ts'
import type { FunctionSettings } from '../service/function-settings.ts'
import { numberOrNone } from './api-settings.ts'
import type { Findings } from './findings.ts'
import { settled, textOf } from './intrinsics.ts'
import type { Template } from './template.ts'
import type { YamlNode } from './yaml-file.ts'

export interface SettingScope {
  /** The function's name. */
  readonly function: string
  readonly template: Template
  readonly findings: Findings
}

/** What becomes of a function's events: SAM's `EventInvokeConfig`, or a resource of that type. */
export function addInvokeConfig({
  node,
  ...scope
}: SettingScope & { readonly node: YamlNode | undefined }): void {
  const config = settled(node, scope.template)
  addNumber(scope, 'maximumRetryAttempts', config?.get('MaximumRetryAttempts'))
  addNumber(scope, 'maximumEventAge', config?.get('MaximumEventAgeInSeconds'))
  const destinations = settled(config?.get('DestinationConfig'), scope.template)
  addDestination(scope, 'onSuccess', destinations?.get('OnSuccess'))
  addDestination(scope, 'onFailure', destinations?.get('OnFailure'))
}

export function addNumber(
  { template, findings, function: name }: SettingScope,
  setting: keyof FunctionSettings,
  node: YamlNode | undefined,
): void {
  const text = textOf(settled(node, template), template)
  if (node !== undefined && text !== undefined)
    findings.additions.push({ function: name, node, setting, value: numberOrNone(text) ?? text })
}

export function addText(
  { template, findings, function: name }: SettingScope,
  setting: keyof FunctionSettings,
  node: YamlNode | undefined,
): void {
  const value = textOf(settled(node, template), template)
  if (node !== undefined && value !== undefined)
    findings.additions.push({ function: name, node, setting, value })
}

/** `{ Destination: ARN }`; SAM makes a queue or a topic when it is told its `Type` alone. */
function addDestination(
  scope: SettingScope,
  setting: 'onSuccess' | 'onFailure',
  said: YamlNode | undefined,
): void {
  const { template, findings, function: name } = scope
  const node = settled(said, template)
  const type = textOf(node?.get('Type'), template)
  const arn = node?.get('Destination')
  if (arn !== undefined) addText(scope, setting, arn)
  else if (node !== undefined && (type === 'SQS' || type === 'SNS')) {
    const made = `${name}EventInvokeConfig${setting === 'onSuccess' ? 'OnSuccess' : 'OnFailure'}`
    if (type === 'SQS') findings.resources.push({ kind: 'queue', name: `${made}Queue`, attributes: {} })
    else findings.resources.push({ kind: 'topic', name: `${made}Topic`, subscriptions: [] })
    const tail = type === 'SQS' ? 'Queue' : 'Topic'
    const value = `arn:aws:${type.toLowerCase()}:${template.region}:${ACCOUNT_ID}:${made}${tail}`
    findings.additions.push({ function: name, node, setting, value })
  }
}
