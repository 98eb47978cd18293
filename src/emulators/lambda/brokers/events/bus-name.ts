import { arnOf, parseArn } from '../arn.ts'

/** `arn:aws:events:…:event-bus/shop` and `shop` */
export function busName(reference: string): string {
  const resource = parseArn(reference)?.resource
  return resource === undefined ? reference : resource.replace(/^event-bus\//, '')
}

/** The default bus is not part of it. */
export function ruleArn(region: string, bus: string, name: string): string {
  return arnOf('events', region, bus === 'default' ? `rule/${name}` : `rule/${bus}/${name}`)
}
