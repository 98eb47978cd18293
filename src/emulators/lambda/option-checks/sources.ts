import { FlexiError } from '../../../core/errors.ts'
import { compileFilterPolicy } from '../patterns/filter-policy.ts'
import { compilePattern } from '../patterns/pattern.ts'
import {
  anything,
  arn,
  boolean,
  isMap,
  listOf,
  oneOf,
  problemsOf,
  text,
  wholeNumber,
  type Check,
  type Problem,
  type Shape,
} from './checks.ts'

type Source = Readonly<Record<string, unknown>>

const FILTERS_MAX = 5
/** Messages of a batch that needs no window to fill. */
const BATCH_AT_ONCE_MAX = 10
const NAME = /^(arn:\S+|https?:\/\/\S+|[\w.-]+)$/

/** Any answer of a compiler of patterns that is not a refusal will do. */
function compiles(compile: (value: unknown) => unknown): Check {
  return (value) => {
    try {
      compile(value)
      return undefined
    } catch (error) {
      if (error instanceof FlexiError) return error.message
      throw error
    }
  }
}

const COMMON: Shape = { type: anything, enabled: boolean, name: text('nightly') }

const POLLED: Shape = {
  ...COMMON,
  endpoint: text('http://127.0.0.1:9324', /^https?:\/\/\S+$/),
  batchSize: wholeNumber({ min: 1, max: 10_000 }, 'messages'),
  window: wholeNumber({ min: 0, max: 300 }, 'seconds'),
  filters: listOf(compiles(compilePattern), FILTERS_MAX, 'patterns'),
  reportBatchItemFailures: boolean,
}

const STREAM: Shape = {
  ...POLLED,
  stream: text('orders', NAME),
  startingPosition: oneOf('TRIM_HORIZON', 'LATEST', 'AT_TIMESTAMP'),
  startingPositionTimestamp: (value) =>
    typeof value === 'number' && value >= 0 ? undefined : 'Write seconds since 1970, as a number.',
  maximumRetryAttempts: wholeNumber({ min: -1, max: 10_000 }, 'attempts, or -1 for as many as it takes'),
  maximumRecordAge: (value) =>
    value === -1 ? undefined : wholeNumber({ min: 60, max: 604_800 }, 'seconds, or -1 for no limit')(value),
  bisectBatchOnError: boolean,
  parallelizationFactor: wholeNumber({ min: 1, max: 10 }, 'batches at once'),
  onFailure: arn('sqs', 'sns', 's3'),
  tumblingWindow: wholeNumber({ min: 0, max: 900 }, 'seconds'),
}

interface Kind {
  readonly shape: Shape
  readonly required: readonly string[]
  /** What several values together decide. */
  readonly together?: ((source: Source, path: string) => readonly Problem[]) | undefined
}

const KINDS: Readonly<Record<string, Kind>> = {
  sqs: {
    shape: {
      ...POLLED,
      queue: text('jobs', NAME),
      maximumConcurrency: wholeNumber({ min: 2, max: 1000 }, 'batches at once'),
    },
    required: ['queue'],
    together: queueProblems,
  },
  kinesis: { shape: STREAM, required: ['stream'], together: streamProblems },
  dynamodb: { shape: STREAM, required: ['stream'], together: streamProblems },
  schedule: {
    shape: {
      ...COMMON,
      expression: text('rate(5 minutes)'),
      timezone: text('Europe/Berlin'),
      input: anything,
    },
    required: ['expression'],
  },
  events: {
    shape: {
      ...COMMON,
      pattern: compiles(compilePattern),
      bus: text('default', NAME),
      input: anything,
      inputPath: text('$.detail', /^\$/),
      deadLetter: arn('sqs'),
    },
    required: ['pattern'],
    together: busProblems,
  },
  sns: {
    shape: {
      ...COMMON,
      topic: text('orders', NAME),
      filterPolicy: compiles((value) => compileFilterPolicy(value, 'MessageBody')),
      filterPolicyScope: oneOf('MessageAttributes', 'MessageBody'),
      deadLetter: arn('sqs'),
    },
    required: ['topic'],
  },
  s3: {
    shape: {
      ...COMMON,
      bucket: text('uploads', NAME),
      events: listOf(
        text('s3:ObjectCreated:*', /^s3:[\w:*]+$/),
        Infinity,
        'names of events, such as "s3:ObjectCreated:*"',
      ),
      prefix: text('images/'),
      suffix: text('.jpg'),
    },
    required: ['bucket', 'events'],
  },
}

/** Everything that is wrong with a function's `sources`. */
export async function sourceProblems(sources: readonly unknown[]): Promise<Problem[]> {
  const problems = await Promise.all(
    sources.map(async (source, index) =>
      isMap(source) ? problemsOfSource(source, `sources[${index}].`) : [],
    ),
  )
  return problems.flat()
}

async function problemsOfSource(source: Source, path: string): Promise<Problem[]> {
  const { type } = source
  const kind = typeof type === 'string' && Object.hasOwn(KINDS, type) ? KINDS[type] : undefined
  if (kind === undefined) {
    const hint = `Write ${Object.keys(KINDS).join(', ')}.`
    return [
      {
        option: `${path}type`,
        message: `"${path}type" cannot be ${JSON.stringify(type) ?? 'missing'}`,
        hint,
      },
    ]
  }
  const own = problemsOf(source, { ...kind, path })
  const more = own.length > 0 ? [] : (kind.together?.(source, path) ?? [])
  return [...own, ...more, ...(type === 'schedule' ? await scheduleProblems(source, path) : [])]
}

async function scheduleProblems({ expression, timezone }: Source, path: string): Promise<Problem[]> {
  if (typeof expression !== 'string') return []
  const { scheduleFault } = await import('../sources/schedules/schedule.ts')
  const fault = scheduleFault(expression, typeof timezone === 'string' ? timezone : undefined)
  if (fault === undefined) return []
  const hint = 'Write rate(5 minutes), cron(0 10 * * ? *) or at(2030-01-31T10:00:00).'
  return [
    { option: `${path}expression`, message: `"${path}expression" cannot be "${expression}": ${fault}`, hint },
  ]
}

function queueProblems({ queue, batchSize, window }: Source, path: string): readonly Problem[] {
  const isLarge = typeof batchSize === 'number' && batchSize > BATCH_AT_ONCE_MAX
  if (String(queue).endsWith('.fifo')) {
    return isLarge || (typeof window === 'number' && window > 0)
      ? [
          {
            option: `${path}queue`,
            message: `"${path}queue" is a FIFO queue`,
            hint: 'Leave out its window, and take 10 messages at most.',
          },
        ]
      : []
  }
  return isLarge && !(typeof window === 'number' && window >= 1)
    ? [
        {
          option: `${path}batchSize`,
          message: `"${path}batchSize" cannot be ${batchSize} without a window`,
          hint: 'Add a "window" of 1 second or more.',
        },
      ]
    : []
}

function streamProblems(source: Source, path: string): readonly Problem[] {
  const { type, startingPosition, startingPositionTimestamp } = source
  if (startingPosition !== 'AT_TIMESTAMP') return []
  if (type === 'dynamodb')
    return [
      {
        option: `${path}startingPosition`,
        message: `"${path}startingPosition" of a table cannot be AT_TIMESTAMP`,
        hint: 'Write "TRIM_HORIZON" or "LATEST".',
      },
    ]
  return startingPositionTimestamp === undefined
    ? [
        {
          option: `${path}startingPositionTimestamp`,
          message: `"${path}startingPositionTimestamp" is missing`,
          hint: 'Write seconds since 1970, as a number.',
        },
      ]
    : []
}

function busProblems({ input, inputPath }: Source, path: string): readonly Problem[] {
  return input !== undefined && inputPath !== undefined
    ? [
        {
          option: `${path}inputPath`,
          message: `"${path}input" and "inputPath" exclude each other`,
          hint: 'Keep one of them.',
        },
      ]
    : []
}
