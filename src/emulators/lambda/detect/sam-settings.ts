import { warn, warnOfKeys } from './findings.ts'
import { textOf } from './intrinsics.ts'
import { addInvokeConfig, addNumber, addText, type SettingScope } from './invoke-config.ts'
import { layersOf } from './layers.ts'
import type { YamlNode } from './yaml-file.ts'

/** What a function's properties say of everything around its code. */
export function addFunctionSettings(
  scope: SettingScope & { readonly file: string },
  property: (name: string) => YamlNode | undefined,
): void {
  const { findings, template, function: name } = scope
  addText(scope, 'functionName', property('FunctionName'))
  addText(scope, 'alias', property('AutoPublishAlias'))
  addNumber(scope, 'reservedConcurrency', property('ReservedConcurrentExecutions'))
  const provisioned = property('ProvisionedConcurrencyConfig')
  addNumber(scope, 'provisionedConcurrency', provisioned?.get('ProvisionedConcurrentExecutions'))
  addText(
    scope,
    'deadLetter',
    (property('DeadLetterQueue') ?? property('DeadLetterConfig'))?.get('TargetArn'),
  )
  addInvokeConfig({ ...scope, node: property('EventInvokeConfig') })
  const layers = property('Layers')
  const paths = layersOf(layers, scope)
  if (layers !== undefined && paths.length > 0)
    findings.additions.push({ function: name, node: layers, setting: 'layers', value: paths })
  warnOfKeys(property, IGNORED, findings)
  const format = property('LoggingConfig')?.get('LogFormat')
  if (format !== undefined && textOf(format, template) === 'JSON')
    warn(findings, format, 'LogFormat JSON: lines are as the function prints them')
}

const IGNORED: Readonly<Record<string, string>> = {
  VpcConfig: 'there is no VPC here',
  FileSystemConfigs: 'file systems are not mounted',
  SnapStart: 'environments start from nothing',
  DurableConfig: 'executions do not survive an invocation',
  TenancyConfig: 'tenants share environments',
  CapacityProviderConfig: 'environments are of this machine',
}
