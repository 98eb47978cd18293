import {
  arn,
  boolean,
  isMap,
  listOf,
  oneOf,
  problemsOf,
  text,
  wholeNumber,
  type Problem,
  type Shape,
} from './checks.ts'

const LAYERS_MAX = 5
const SOURCES_MAX = 100

/** What results and failed events may go to. */
const DESTINATION = arn('sqs', 'sns', 'lambda', 'events', 's3')

/** Options beside the code's own, but for those of events: FunctionSettings, less what more than a look at one value decides. */
const SETTINGS: Shape = {
  functionName: text('shop-dev-hello', /^[A-Za-z0-9_-]{1,64}$/),
  version: text('1', /^\d+$/),
  alias: text('live', /^(?!\d+$)[A-Za-z0-9_-]{1,128}$/),
  reservedConcurrency: wholeNumber({ min: 0 }, 'invocations at once'),
  provisionedConcurrency: wholeNumber({ min: 1 }, 'environments that are started ahead'),
  maximumRetryAttempts: wholeNumber({ min: 0, max: 2 }, 'attempts after the first one fails'),
  maximumEventAge: wholeNumber({ min: 60, max: 21_600 }, 'seconds that an event may wait'),
  deadLetter: arn('sqs', 'sns'),
  onSuccess: DESTINATION,
  onFailure: DESTINATION,
  layers: listOf(text('layers/common'), LAYERS_MAX, 'folders or zip files'),
  sources: listOf(
    (value) => (isMap(value) ? undefined : 'Write { "type": "sqs", "queue": "jobs" }.'),
    SOURCES_MAX,
    'sources',
  ),
  url: (value) => (isMap(value) ? undefined : 'Write { "cors": { "allowOrigins": ["*"] } }.'),
}

const URL_SHAPE: Shape = {
  cors: (value) => (isMap(value) ? undefined : 'Write { "allowOrigins": ["*"] }.'),
  invokeMode: oneOf('BUFFERED', 'RESPONSE_STREAM'),
}

const TEXTS = listOf(text('https://example.com'), Infinity, 'texts')

const CORS: Shape = {
  allowOrigins: TEXTS,
  allowMethods: TEXTS,
  allowHeaders: TEXTS,
  exposeHeaders: TEXTS,
  maxAge: wholeNumber({ min: 0, max: 86_400 }, 'seconds that a browser may remember the answer'),
  allowCredentials: boolean,
}

/** What is wrong with those settings, but for the content of `sources`. */
export function settingsProblems(options: Readonly<Record<string, unknown>>): Problem[] {
  const settings = Object.fromEntries(
    Object.entries(options).filter(([name]) => Object.hasOwn(SETTINGS, name)),
  )
  return [
    ...problemsOf(settings, { shape: SETTINGS }),
    ...urlProblems(options['url']),
    ...roomProblems(options),
  ]
}

function urlProblems(url: unknown): Problem[] {
  if (!isMap(url)) return []
  const { cors } = url
  return [
    ...problemsOf(url, { shape: URL_SHAPE, path: 'url.' }),
    ...(isMap(cors) ? problemsOf(cors, { shape: CORS, path: 'url.cors.' }) : []),
  ]
}

/** Lambda refuses more provisioned environments than may run. */
function roomProblems({
  reservedConcurrency,
  provisionedConcurrency,
}: Readonly<Record<string, unknown>>): Problem[] {
  const tooMany =
    typeof reservedConcurrency === 'number' &&
    typeof provisionedConcurrency === 'number' &&
    provisionedConcurrency > reservedConcurrency
  return tooMany
    ? [
        {
          option: 'provisionedConcurrency',
          message: `"provisionedConcurrency" ${provisionedConcurrency} is more than "reservedConcurrency" ${reservedConcurrency}`,
          hint: 'Reserve as many as are provisioned, or more.',
        },
      ]
    : []
}
