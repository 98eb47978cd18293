import { ACCOUNT_ID } from '../../definition.ts'
import type { Bus, Buses } from './buses.ts'
import { ruleArn } from './bus-name.ts'
import { BrokerError } from '../broker-error.ts'
import type { Input } from '../json-input.ts'
import { ruleNotFound, validation } from './events-errors.ts'
import { optional, required } from './events-input.ts'
import { scheduleOf } from './rule-timers.ts'
import { putEvents } from './put-events.ts'
import { compiled, Rule } from './rule.ts'
import { putTargets, removeTargets } from './targets.ts'

interface EventsCall {
  readonly input: Input
  readonly buses: Buses
  readonly now: number
}

type EventsAction = (call: EventsCall) => Input

/** EventBridge's actions by name. */
export const EVENTS_ACTIONS: Readonly<Record<string, EventsAction>> = {
  PutEvents: ({ buses, input, now }) => putEvents(buses, input, now),
  TestEventPattern: testPattern,
  CreateEventBus: ({ buses, input }) => ({ EventBusArn: buses.create(required(input, 'Name')).arn }),
  // Of one that is gone it is nothing.
  DeleteEventBus: ({ buses, input }) => {
    buses.delete(required(input, 'Name'))
    return {}
  },
  DescribeEventBus: ({ buses, input }) => busSummary(buses.get(optional(input, 'Name') ?? 'default')),
  ListEventBuses: ({ buses, input }) => {
    const prefix = optional(input, 'NamePrefix') ?? ''
    return {
      EventBuses: buses
        .all()
        .filter(({ name }) => name.startsWith(prefix))
        .map(busSummary),
    }
  },
  PutRule: putRule,
  DeleteRule: deleteRule,
  DescribeRule: (call) => ruleSummary(ruleOf(call)),
  ListRules: (call) => {
    const prefix = optional(call.input, 'NamePrefix') ?? ''
    const rules = call.buses.rules(busOf(call)).filter(({ name }) => name.startsWith(prefix))
    return { Rules: rules.map(ruleSummary) }
  },
  ListRuleNamesByTarget: (call) => {
    const arn = required(call.input, 'TargetArn')
    const rules = call.buses.rules(busOf(call))
    return { RuleNames: rules.filter((rule) => hasTarget(rule, arn)).map(({ name }) => name) }
  },
  EnableRule: (call) => enable(ruleOf(call), true),
  DisableRule: (call) => enable(ruleOf(call), false),
  PutTargets: (call) => putTargets(ruleNamed(call, 'Rule'), call.input),
  RemoveTargets: (call) => removeTargets(ruleNamed(call, 'Rule'), call.input),
  ListTargetsByRule: (call) => ({
    Targets: [...ruleNamed(call, 'Rule').targets.values()].map(({ written }) => written),
  }),
  ListTagsForResource: () => ({ Tags: [] }),
  TagResource: () => ({}),
  UntagResource: () => ({}),
}

function hasTarget(rule: Rule, arn: string): boolean {
  return [...rule.targets.values()].some((target) => target.arn === arn)
}

function busOf({ buses, input }: EventsCall): Bus {
  return buses.get(optional(input, 'EventBusName') ?? 'default')
}

function ruleOf(call: EventsCall): Rule {
  return ruleNamed(call, 'Name')
}

/** @throws BrokerError ResourceNotFoundException. */
function ruleNamed(call: EventsCall, field: string): Rule {
  const bus = busOf(call)
  const name = required(call.input, field)
  const rule = call.buses.rules(bus).find((one) => one.name === name)
  if (rule === undefined) throw ruleNotFound(name, bus.name)
  return rule
}

function putRule(call: EventsCall): Input {
  const { buses, input } = call
  const bus = busOf(call)
  const name = required(input, 'Name')
  if (!/^[.\w-]{1,64}$/.test(name)) throw validation(`Rule name ${name} is not valid.`)
  const pattern = optional(input, 'EventPattern')
  const schedule = optional(input, 'ScheduleExpression')
  if (schedule !== undefined) {
    scheduleOf(schedule)
    if (bus.name !== 'default') {
      throw validation('ScheduleExpression is supported only on the default event bus.')
    }
  } else if (pattern === undefined) {
    throw validation('Parameter(s) EventPattern or ScheduleExpression must be specified.')
  }
  const rule = new Rule({
    name,
    bus: bus.name,
    arn: ruleArn(buses.region, bus.name, name),
    pattern,
    schedule,
    enabled: (optional(input, 'State') ?? 'ENABLED') !== 'DISABLED',
    description: optional(input, 'Description'),
  })
  for (const [id, target] of bus.rules.get(name)?.targets ?? []) rule.targets.set(id, target)
  buses.setRule(bus, rule)
  return { RuleArn: rule.arn }
}

/** Of one that is gone it is nothing. */
function deleteRule(call: EventsCall): Input {
  const bus = busOf(call)
  const rule = bus.rules.get(required(call.input, 'Name'))
  if (rule === undefined) return {}
  if (rule.targets.size > 0) throw validation("Rule can't be deleted since it has targets.")
  call.buses.deleteRule(bus, rule)
  return {}
}

function enable(rule: Rule, enabled: boolean): Input {
  rule.enabled = enabled
  return {}
}

function testPattern({ input }: EventsCall): Input {
  const matches = compiled(required(input, 'EventPattern'))
  let event: unknown
  try {
    event = JSON.parse(required(input, 'Event'))
  } catch (error) {
    if (error instanceof BrokerError) throw error
    throw validation('Parameter Event is not valid. Reason: It is not valid JSON.')
  }
  return { Result: matches(event) }
}

function busSummary({ name, arn, createdAt }: Bus): Input {
  return { Name: name, Arn: arn, CreationTime: createdAt / 1000, LastModifiedTime: createdAt / 1000 }
}

function ruleSummary({ name, arn, bus, pattern, schedule, enabled, description }: Rule): Input {
  return {
    Name: name,
    Arn: arn,
    EventBusName: bus,
    EventPattern: pattern,
    ScheduleExpression: schedule,
    State: enabled ? 'ENABLED' : 'DISABLED',
    Description: description,
    CreatedBy: ACCOUNT_ID,
  }
}
