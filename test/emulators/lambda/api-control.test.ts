import { readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import {
  AddPermissionCommand,
  CreateAliasCommand,
  CreateFunctionCommand,
  CreateFunctionUrlConfigCommand,
  DeleteAliasCommand,
  DeleteFunctionCommand,
  DeleteFunctionConcurrencyCommand,
  DeleteFunctionUrlConfigCommand,
  GetAccountSettingsCommand,
  GetAliasCommand,
  GetFunctionCommand,
  GetFunctionConcurrencyCommand,
  GetFunctionConfigurationCommand,
  GetFunctionEventInvokeConfigCommand,
  GetFunctionUrlConfigCommand,
  GetPolicyCommand,
  GetProvisionedConcurrencyConfigCommand,
  InvokeCommand,
  ListAliasesCommand,
  ListFunctionsCommand,
  ListTagsCommand,
  ListVersionsByFunctionCommand,
  PublishVersionCommand,
  PutFunctionConcurrencyCommand,
  PutFunctionEventInvokeConfigCommand,
  PutProvisionedConcurrencyConfigCommand,
  RemovePermissionCommand,
  TagResourceCommand,
  UntagResourceCommand,
  UpdateAliasCommand,
  UpdateFunctionCodeCommand,
  UpdateFunctionConfigurationCommand,
  UpdateFunctionEventInvokeConfigCommand,
  UpdateFunctionUrlConfigCommand,
  waitUntilFunctionActiveV2,
  waitUntilFunctionUpdatedV2,
  type LambdaClient,
} from '@aws-sdk/client-lambda'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'

import { json, serveProject, type ApiProject } from './api-project.ts'
import { zipOf } from './zip.ts'

const ANY: unknown = expect.any(String)
const ROLE = 'arn:aws:iam::123456789012:role/tests'
const ARN = 'arn:aws:lambda:us-east-1:123456789012:function'

let project: ApiProject
let client: LambdaClient
beforeAll(async () => {
  project = await serveProject(
    {
      declared: { handler: 'app.handler' },
      named: { handler: 'app.handler', functionName: 'shop-dev-named', alias: 'live' },
      slow: { handler: 'slow.handler', timeout: 30 },
    },
    { 'app.js': handler('file'), 'slow.js': SLOW },
  )
  client = project.client
})
afterAll(() => project?.[Symbol.asyncDispose]())

const SLOW = `exports.handler = async ({ ms }) => new Promise((resolve) => setTimeout(resolve, ms, 'slept'))`

/** Tells what it is, and what it is told it is. */
function handler(says: string): string {
  return `exports.handler = async (event, context) => ({
    says: '${says}', version: context.functionVersion, arn: context.invokedFunctionArn, name: context.functionName,
    variable: process.env.AWS_LAMBDA_FUNCTION_VERSION, stream: context.logStreamName, stage: process.env.STAGE })`
}

function packed(text: string) {
  return zipOf([{ name: 'index.js', text }])
}

async function made(name: string, says = 'one', more: object = {}) {
  return client.send(
    new CreateFunctionCommand({
      FunctionName: name,
      Runtime: 'nodejs20.x',
      Handler: 'index.handler',
      Role: ROLE,
      Code: { ZipFile: packed(handler(says)) },
      ...more,
    }),
  )
}

async function ran(FunctionName: string, Qualifier?: string) {
  const { Payload, ExecutedVersion } = await client.send(new InvokeCommand({ FunctionName, Qualifier }))
  return { ExecutedVersion, ...(json(Payload) as Record<string, string>) }
}

async function refusal(sent: Promise<unknown>): Promise<readonly [number | undefined, string, string]> {
  const error = (await sent.then(
    () => new Error('it was not refused'),
    (thrown: unknown) => thrown,
  )) as Error & { readonly $metadata?: { readonly httpStatusCode?: number } }
  return [error.$metadata?.httpStatusCode, error.name, error.message]
}

describe('functions made through the API', () => {
  test('are served, shown with what they were made of, and have an address', async () => {
    const created = await made('made', 'one', {
      Timeout: 9,
      MemorySize: 256,
      Description: 'a test',
      Environment: { Variables: { STAGE: 'dev' } },
      Tags: { team: 'a' },
    })
    expect(created).toMatchObject({
      $metadata: { httpStatusCode: 201 },
      FunctionArn: `${ARN}:made`,
      State: 'Pending',
      StateReasonCode: 'Creating',
      Role: ROLE,
      Version: '$LATEST',
      CodeSize: packed(handler('one')).length,
    })
    expect(created.LastUpdateStatus).toBeUndefined()
    await waitUntilFunctionActiveV2({ client, maxWaitTime: 5 }, { FunctionName: 'made' })
    const { Configuration, Tags } = await client.send(new GetFunctionCommand({ FunctionName: 'made' }))
    expect(Configuration).toMatchObject({
      Description: 'a test',
      Timeout: 9,
      MemorySize: 256,
      State: 'Active',
      Environment: { Variables: { STAGE: 'dev' } },
    })
    expect(Tags).toEqual({ team: 'a' })
    expect(await ran('made')).toMatchObject({
      says: 'one',
      name: 'made',
      version: '$LATEST',
      stage: 'dev',
      arn: `${ARN}:made`,
    })
    const answer = await fetch(`${project.app.url}/_flexi/f/made/`)
    expect(await answer.json()).toMatchObject({ says: 'one' })
  })

  test('change code and configuration while they are served; a waiter sees the end of it', async () => {
    await made('changing')
    const updated = await client.send(
      new UpdateFunctionCodeCommand({ FunctionName: 'changing', ZipFile: packed(handler('two')) }),
    )
    expect(updated.LastUpdateStatus).toBe('InProgress')
    const waited = await waitUntilFunctionUpdatedV2({ client, maxWaitTime: 5 }, { FunctionName: 'changing' })
    expect(waited.state).toBe('SUCCESS')
    await client.send(
      new UpdateFunctionConfigurationCommand({
        FunctionName: 'changing',
        Environment: { Variables: { STAGE: 'next' } },
      }),
    )
    expect(await ran('changing')).toMatchObject({ says: 'two', stage: 'next' })
  })

  test('a dry run of new code changes nothing, and so does code that cannot be built', async () => {
    await made('kept')
    const dry = await client.send(
      new UpdateFunctionCodeCommand({ FunctionName: 'kept', ZipFile: packed(handler('dry')), DryRun: true }),
    )
    expect(dry.CodeSize).toBe(packed(handler('dry')).length)
    const [status, name] = await refusal(
      client.send(
        new UpdateFunctionCodeCommand({ FunctionName: 'kept', ZipFile: zipOf([{ name: 'x', text: '' }]) }),
      ),
    )
    expect([status, name]).toEqual([400, 'InvalidParameterValueException'])
    expect(await ran('kept')).toMatchObject({ says: 'one' })
  })

  test('of code that cannot be built are made as in the cloud, and say why to who invokes them', async () => {
    await made('broken', 'x', { Code: { ZipFile: packed('exports.handler = (') } })
    const { FunctionError, Payload } = await client.send(new InvokeCommand({ FunctionName: 'broken' }))
    expect(FunctionError).toBe('Unhandled')
    expect(json(Payload)).toMatchObject({ errorType: expect.stringMatching(/SyntaxError/) })
  })

  test('a revision that is not the latest changes nothing', async () => {
    await made('revised')
    const change = (RevisionId: string | undefined) =>
      client.send(new UpdateFunctionConfigurationCommand({ FunctionName: 'revised', Timeout: 5, RevisionId }))
    expect(await refusal(change('00000000-0000-0000-0000-000000000000'))).toEqual([
      412,
      'PreconditionFailedException',
      'The Revision Id provided does not match the latest Revision Id. Call the GetFunction/GetAlias API to retrieve the latest Revision Id',
    ])
    const found = await client.send(new GetFunctionConfigurationCommand({ FunctionName: 'revised' }))
    expect((await change(found.RevisionId)).Timeout).toBe(5)
  })

  test('what cannot be made is refused in Lambda’s words', async () => {
    await made('twice')
    expect(await refusal(made('twice'))).toEqual([
      409,
      'ResourceConflictException',
      'Function already exist: twice',
    ])
    expect(await refusal(made('declared'))).toEqual([409, 'ResourceConflictException', ANY])
    expect(await refusal(made('w', 'x', { Timeout: 901 }))).toEqual([
      400,
      'ValidationException',
      "1 validation error detected: Value '901' at 'timeout' failed to satisfy constraint: Member must have value less than or equal to 900",
    ])
    const cases: readonly (readonly [object, RegExp])[] = [
      [{ Code: { S3Bucket: 'b', S3Key: 'k' } }, /has no S3.*ZipFile/],
      [{ Code: { ImageUri: 'i' }, PackageType: 'Image' }, /container images/],
      [{ Code: { ZipFile: Buffer.from('no zip') } }, /^Could not unzip uploaded file/],
      [{ Code: { ZipFile: zipOf([]) } }, /non-empty zip/],
      [{ Runtime: 'nodejs4.3-edge' }, /nodejs4.3-edge does not run here/],
      [{ Layers: [`${ARN.replace('function', 'layer')}:nothing:1`] }, /Layer version .* does not exist/],
    ]
    for (const [wrong, message] of cases) {
      const [status, name, text] = await refusal(made('w', 'x', wrong))
      expect([status, name, text]).toEqual([
        400,
        'InvalidParameterValueException',
        expect.stringMatching(message),
      ])
    }
    expect(await refusal(ran('w'))).toEqual([404, 'ResourceNotFoundException', ANY])
  })

  test('take no name that a function of another provider has', async () => {
    await using mixed = await serveProject(
      { edge: { provider: 'workers', config: 'edge/wrangler.jsonc' } },
      {
        'edge/wrangler.jsonc': '{"name":"edge","main":"edge.mjs","compatibility_date":"2026-01-01"}',
        'edge/edge.mjs': `export default { fetch: () => new Response('edge') }`,
      },
    )
    const create = new CreateFunctionCommand({
      FunctionName: 'edge',
      Runtime: 'nodejs20.x',
      Handler: 'index.handler',
      Role: ROLE,
      Code: { ZipFile: packed(handler('one')) },
    })
    expect(await refusal(mixed.client.send(create))).toEqual([
      400,
      'InvalidParameterValueException',
      'edge is the name of a function of workers',
    ])
    expect(await (await fetch(`${mixed.app.url}/_flexi/f/edge/`)).text()).toBe('edge')
  })

  test('are gone when they are deleted, and the name is free', async () => {
    await made('gone')
    await client.send(new PublishVersionCommand({ FunctionName: 'gone' }))
    const { $metadata } = await client.send(new DeleteFunctionCommand({ FunctionName: 'gone' }))
    expect($metadata.httpStatusCode).toBe(204)
    expect(await refusal(ran('gone'))).toEqual([404, 'ResourceNotFoundException', ANY])
    expect(await refusal(ran('gone', '1'))).toEqual([404, 'ResourceNotFoundException', ANY])
    await made('gone', 'again')
    expect(await ran('gone')).toMatchObject({ says: 'again' })
  })

  test('one of the project’s files may be changed, but is not deleted: its file would bring it back', async () => {
    await client.send(
      new UpdateFunctionConfigurationCommand({
        FunctionName: 'declared',
        Timeout: 7,
        Environment: { Variables: { STAGE: 'over' } },
      }),
    )
    expect(await ran('declared')).toMatchObject({ says: 'file', stage: 'over' })
    const [status, name, message] = await refusal(
      client.send(new DeleteFunctionCommand({ FunctionName: 'declared' })),
    )
    expect([status, name]).toEqual([400, 'InvalidParameterValueException'])
    expect(message).toMatch(/^declared is in the project's files \(.*flexi\.jsonc\)/)
  })
})

describe('versions', () => {
  test('stay as they were published, and know their number', async () => {
    await made('versioned')
    const first = await client.send(
      new PublishVersionCommand({ FunctionName: 'versioned', Description: 'first' }),
    )
    expect(first).toMatchObject({
      $metadata: { httpStatusCode: 201 },
      Version: '1',
      FunctionArn: `${ARN}:versioned:1`,
      Description: 'first',
      State: 'Active',
    })
    const same = await client.send(new PublishVersionCommand({ FunctionName: 'versioned' }))
    expect(same.Version).toBe('1')
    await client.send(
      new UpdateFunctionCodeCommand({
        FunctionName: 'versioned',
        ZipFile: packed(handler('two')),
        Publish: true,
      }),
    )
    expect(await ran('versioned', '1')).toMatchObject({
      ExecutedVersion: '1',
      says: 'one',
      version: '1',
      variable: '1',
      name: 'versioned',
      arn: `${ARN}:versioned:1`,
      stream: expect.stringMatching(/^\d{4}\/\d\d\/\d\d\/\[1\][\da-f]{32}$/),
    })
    expect(await ran(`${ARN}:versioned:2`)).toMatchObject({ ExecutedVersion: '2', says: 'two' })
    expect(await ran('versioned', '$LATEST')).toMatchObject({ arn: `${ARN}:versioned:$LATEST` })
    const { Versions } = await client.send(new ListVersionsByFunctionCommand({ FunctionName: 'versioned' }))
    expect(Versions?.map(({ Version }) => Version)).toEqual(['$LATEST', '1', '2'])
    expect(await refusal(ran('versioned', '3'))).toEqual([
      404,
      'ResourceNotFoundException',
      `Function not found: ${ARN}:versioned:3`,
    ])
  })

  test('of a project’s function are what would be shipped: later edits do not reach them', async () => {
    await writeFile(join(project.directory, 'own.js'), handler('before'))
    await using own = await serveProject({ own: { handler: 'own.handler' } }, { 'own.js': handler('before') })
    await own.client.send(new PublishVersionCommand({ FunctionName: 'own' }))
    await writeFile(join(own.directory, 'own.js'), handler('after'))
    await own.app.restart()
    const says = async (Qualifier: string) => {
      const { Payload } = await own.client.send(new InvokeCommand({ FunctionName: 'own', Qualifier }))
      return (json(Payload) as { says: string }).says
    }
    expect([await says('1'), await says('$LATEST')]).toEqual(['before', 'after'])
    const { Functions } = await own.client.send(new ListFunctionsCommand({}))
    expect(Functions?.map(({ FunctionName }) => FunctionName)).toEqual(['own'])
    const all = await own.client.send(new ListFunctionsCommand({ FunctionVersion: 'ALL' }))
    expect(all.Functions?.map(({ Version }) => Version)).toEqual(['$LATEST', '1'])
  })

  test.each([
    ['a file of TypeScript', 'mod.ts', 'mod.ts', {}],
    ['an ES module of TypeScript', 'src/mod.handler', 'src/mod.mts', {}],
    ['a package of ES modules', 'mod.handler', 'mod.js', { 'package.json': '{"type":"module"}' }],
    [
      'CommonJS in a package of ES modules',
      'mod.handler',
      'mod.cjs',
      { 'package.json': '{"type":"module"}' },
    ],
  ])('run what was shipped of %s', async (_what, named, file, more) => {
    const text = file.endsWith('.cjs')
      ? `exports.handler = async (event, context) => context.functionVersion`
      : `export const handler = async (event${file.endsWith('ts') ? ': unknown' : ''}, context) => context.functionVersion`
    await using own = await serveProject({ own: { handler: named } }, { [file]: text, ...more })
    await own.client.send(new PublishVersionCommand({ FunctionName: 'own' }))
    const { Payload } = await own.client.send(new InvokeCommand({ FunctionName: 'own', Qualifier: '1' }))
    expect(json(Payload)).toBe('1')
  })

  test('are not published of code that is not the expected one', async () => {
    await made('expected')
    const [status, name, message] = await refusal(
      client.send(new PublishVersionCommand({ FunctionName: 'expected', CodeSha256: 'other' })),
    )
    expect([status, name]).toEqual([400, 'InvalidParameterValueException'])
    expect(message).toMatch(/^CodeSHA256 \(other\) is different from current CodeSHA256 in \$LATEST/)
  })

  test('are deleted one by one, but not while an alias points to them', async () => {
    await made('pruned', 'one', { Publish: true })
    await client.send(new CreateAliasCommand({ FunctionName: 'pruned', Name: 'a', FunctionVersion: '1' }))
    const remove = (Qualifier: string) =>
      client.send(new DeleteFunctionCommand({ FunctionName: 'pruned', Qualifier }))
    expect(await refusal(remove('1'))).toEqual([409, 'ResourceConflictException', ANY])
    expect(await refusal(remove('$LATEST'))).toEqual([400, 'InvalidParameterValueException', ANY])
    await client.send(new DeleteAliasCommand({ FunctionName: 'pruned', Name: 'a' }))
    await remove('1')
    expect(await refusal(ran('pruned', '1'))).toEqual([404, 'ResourceNotFoundException', ANY])
    const next = await client.send(new PublishVersionCommand({ FunctionName: 'pruned' }))
    expect(next.Version).toBe('2')
  })
})

describe('aliases', () => {
  test('run their version under their own name, and move', async () => {
    await made('aliased', 'one', { Publish: true })
    await client.send(
      new UpdateFunctionCodeCommand({
        FunctionName: 'aliased',
        ZipFile: packed(handler('two')),
        Publish: true,
      }),
    )
    const created = await client.send(
      new CreateAliasCommand({ FunctionName: 'aliased', Name: 'live', FunctionVersion: '1' }),
    )
    expect(created).toMatchObject({
      $metadata: { httpStatusCode: 201 },
      AliasArn: `${ARN}:aliased:live`,
      Name: 'live',
      FunctionVersion: '1',
      Description: '',
    })
    expect(await ran('aliased', 'live')).toMatchObject({
      ExecutedVersion: '1',
      says: 'one',
      version: '1',
      arn: `${ARN}:aliased:live`,
    })
    await client.send(new UpdateAliasCommand({ FunctionName: 'aliased', Name: 'live', FunctionVersion: '2' }))
    expect(await ran('aliased:live')).toMatchObject({ ExecutedVersion: '2', says: 'two' })
    const { Aliases } = await client.send(new ListAliasesCommand({ FunctionName: 'aliased' }))
    expect(Aliases).toMatchObject([{ Name: 'live', FunctionVersion: '2' }])
    expect(await refusal(ran('aliased', 'dead'))).toEqual([
      404,
      'ResourceNotFoundException',
      `Function not found: ${ARN}:aliased:dead`,
    ])
  })

  test('have a second version for a part of the invocations', async () => {
    await made('weighted', 'one', { Publish: true })
    await client.send(
      new UpdateFunctionCodeCommand({
        FunctionName: 'weighted',
        ZipFile: packed(handler('two')),
        Publish: true,
      }),
    )
    const point = (weight: number) =>
      client.send(
        new UpdateAliasCommand({
          FunctionName: 'weighted',
          Name: 'split',
          RoutingConfig: { AdditionalVersionWeights: { 2: weight } },
        }),
      )
    await client.send(
      new CreateAliasCommand({ FunctionName: 'weighted', Name: 'split', FunctionVersion: '1' }),
    )
    await point(1)
    expect((await ran('weighted', 'split')).ExecutedVersion).toBe('2')
    await point(0)
    expect((await ran('weighted', 'split')).ExecutedVersion).toBe('1')
    const found = await client.send(new GetAliasCommand({ FunctionName: 'weighted', Name: 'split' }))
    expect(found.RoutingConfig).toEqual({ AdditionalVersionWeights: { 2: 0 } })
    expect(await refusal(point(1.5))).toEqual([400, 'InvalidParameterValueException', ANY])
  })

  test('that cannot be are refused', async () => {
    await made('strict', 'one', { Publish: true })
    const create = (more: object) =>
      client.send(
        new CreateAliasCommand({ FunctionName: 'strict', Name: 'a', FunctionVersion: '1', ...more }),
      )
    await create({})
    expect(await refusal(create({}))).toEqual([
      409,
      'ResourceConflictException',
      `Alias already exists: ${ARN}:strict:a`,
    ])
    expect(await refusal(create({ Name: '12' }))).toEqual([400, 'ValidationException', ANY])
    expect(await refusal(create({ Name: 'b', FunctionVersion: '7' }))).toEqual([
      404,
      'ResourceNotFoundException',
      `Function not found: ${ARN}:strict:7`,
    ])
  })

  test('an alias that the project’s files name follows $LATEST until somebody publishes', async () => {
    expect(await ran('shop-dev-named', 'live')).toMatchObject({
      ExecutedVersion: '$LATEST',
      name: 'shop-dev-named',
      arn: `${ARN}:shop-dev-named:live`,
    })
    await client.send(new PublishVersionCommand({ FunctionName: 'named' }))
    expect(await ran('named', 'live')).toMatchObject({ ExecutedVersion: '1', name: 'shop-dev-named' })
    await client.send(new DeleteAliasCommand({ FunctionName: 'named', Name: 'live' }))
    expect((await ran('named', 'live')).ExecutedVersion).toBe('$LATEST')
  })
})

describe('concurrency', () => {
  test('no more run at once than are reserved, whichever version; the next is 429 at once', async () => {
    const concurrency = (ReservedConcurrentExecutions: number) =>
      client.send(new PutFunctionConcurrencyCommand({ FunctionName: 'slow', ReservedConcurrentExecutions }))
    await client.send(new PublishVersionCommand({ FunctionName: 'slow' }))
    await concurrency(1)
    const sleeper = (ms: number, Qualifier?: string) =>
      client.send(new InvokeCommand({ FunctionName: 'slow', Qualifier, Payload: JSON.stringify({ ms }) }))
    const sleeping = sleeper(1500)
    await expect
      .poll(() => refusal(sleeper(0, '1')))
      .toEqual([429, 'TooManyRequestsException', 'Rate Exceeded.'])
    const error: unknown = await sleeper(0).catch((thrown: unknown) => thrown)
    expect(error).toMatchObject({ Reason: 'ReservedFunctionConcurrentInvocationLimitExceeded' })
    expect(json((await sleeping).Payload)).toBe('slept')
    expect(json((await sleeper(0, '1')).Payload)).toBe('slept')
    await concurrency(0)
    expect(await refusal(sleeper(0))).toEqual([429, 'TooManyRequestsException', ANY])
    const { AccountLimit } = await client.send(new GetAccountSettingsCommand({}))
    expect(AccountLimit?.UnreservedConcurrentExecutions).toBe(1000)
    await client.send(new DeleteFunctionConcurrencyCommand({ FunctionName: 'slow' }))
    const found = await client.send(new GetFunctionConcurrencyCommand({ FunctionName: 'slow' }))
    expect(found.ReservedConcurrentExecutions).toBeUndefined()
    expect(json((await sleeper(0)).Payload)).toBe('slept')
    expect(await refusal(concurrency(901))).toEqual([400, 'InvalidParameterValueException', ANY])
  })

  test('provisioned concurrency is there soon, and shown as ready then; $LATEST has none', async () => {
    await made('warm', 'one', { Publish: true })
    const put = (Qualifier: string) =>
      client.send(
        new PutProvisionedConcurrencyConfigCommand({
          FunctionName: 'warm',
          Qualifier,
          ProvisionedConcurrentExecutions: 5,
        }),
      )
    expect(await put('1')).toMatchObject({
      $metadata: { httpStatusCode: 202 },
      Status: 'IN_PROGRESS',
      RequestedProvisionedConcurrentExecutions: 5,
    })
    const found = () =>
      client.send(new GetProvisionedConcurrencyConfigCommand({ FunctionName: 'warm', Qualifier: '1' }))
    await expect
      .poll(found, { timeout: 10_000 })
      .toMatchObject({ Status: 'READY', AvailableProvisionedConcurrentExecutions: 5 })
    expect(await refusal(put('$LATEST'))).toEqual([400, 'InvalidParameterValueException', ANY])
  })
})

describe('function URLs', () => {
  const url = (name: string, Qualifier?: string) =>
    client.send(new GetFunctionUrlConfigCommand({ FunctionName: name, Qualifier }))

  test('answer at their address, with CORS as it is configured, until they are deleted', async () => {
    await made('web')
    expect(await refusal(url('web'))).toEqual([404, 'ResourceNotFoundException', ANY])
    const create = () =>
      client.send(
        new CreateFunctionUrlConfigCommand({
          FunctionName: 'web',
          AuthType: 'NONE',
          Cors: { AllowOrigins: ['https://a.example'], AllowMethods: ['GET'], MaxAge: 60 },
        }),
      )
    const created = await create()
    expect(created).toMatchObject({ FunctionArn: `${ARN}:web`, AuthType: 'NONE' })
    expect(created.InvokeMode).toBeUndefined()
    expect(await refusal(create())).toEqual([409, 'ResourceConflictException', ANY])
    const preflight = async () => {
      const headers = { origin: 'https://a.example', 'access-control-request-method': 'GET' }
      const answer = await fetch(String(created.FunctionUrl), { method: 'OPTIONS', headers })
      return [answer.status, answer.headers.get('access-control-max-age')]
    }
    await expect.poll(preflight).toEqual([200, '60'])
    expect(await (await fetch(String(created.FunctionUrl))).json()).toMatchObject({ says: 'one' })
    await client.send(
      new UpdateFunctionUrlConfigCommand({ FunctionName: 'web', InvokeMode: 'RESPONSE_STREAM' }),
    )
    expect(await url('web')).toMatchObject({ InvokeMode: 'RESPONSE_STREAM', Cors: { MaxAge: 60 } })
    await client.send(new DeleteFunctionUrlConfigCommand({ FunctionName: 'web' }))
    expect(await refusal(url('web'))).toEqual([404, 'ResourceNotFoundException', ANY])
  })

  test('go with their function, and stand in no other’s way that is made under its name', async () => {
    await made('web3')
    const { FunctionUrl } = await client.send(
      new CreateFunctionUrlConfigCommand({ FunctionName: 'web3', AuthType: 'NONE' }),
    )
    await client.send(new DeleteFunctionCommand({ FunctionName: 'web3' }))
    await expect.poll(async () => (await fetch(String(FunctionUrl))).status).toBe(404)
    await made('web3', 'again')
    await expect.poll(async () => (await fetch(String(FunctionUrl))).text()).toContain('again')
  })

  test('of an alias run its version, and are forbidden once the alias is gone', async () => {
    await made('web2', 'one', { Publish: true })
    await client.send(
      new UpdateFunctionCodeCommand({ FunctionName: 'web2', ZipFile: packed(handler('two')) }),
    )
    await client.send(new CreateAliasCommand({ FunctionName: 'web2', Name: 'live', FunctionVersion: '1' }))
    const { FunctionUrl } = await client.send(
      new CreateFunctionUrlConfigCommand({ FunctionName: 'web2', Qualifier: 'live', AuthType: 'NONE' }),
    )
    expect(FunctionUrl).toMatch(/\/_flexi\/f\/web2:live\/$/)
    const ask = async () => {
      const answer = await fetch(String(FunctionUrl))
      return [answer.status, (await answer.json()) as object] as const
    }
    await expect
      .poll(ask)
      .toEqual([200, expect.objectContaining({ says: 'one', version: '1', arn: `${ARN}:web2:live` })])
    await client.send(new DeleteAliasCommand({ FunctionName: 'web2', Name: 'live' }))
    expect((await ask())[0]).toBe(403)
  })
})

describe('what belongs to functions', () => {
  test('event settings are put, updated in part, and shown', async () => {
    await made('events')
    const queue = 'arn:aws:sqs:us-east-1:123456789012:failed'
    const put = await client.send(
      new PutFunctionEventInvokeConfigCommand({
        FunctionName: 'events',
        MaximumRetryAttempts: 0,
        DestinationConfig: { OnFailure: { Destination: queue } },
      }),
    )
    expect(put).toMatchObject({
      FunctionArn: `${ARN}:events:$LATEST`,
      MaximumRetryAttempts: 0,
      DestinationConfig: { OnSuccess: {}, OnFailure: { Destination: queue } },
    })
    await client.send(
      new UpdateFunctionEventInvokeConfigCommand({ FunctionName: 'events', MaximumEventAgeInSeconds: 60 }),
    )
    const found = await client.send(new GetFunctionEventInvokeConfigCommand({ FunctionName: 'events' }))
    expect(found).toMatchObject({ MaximumRetryAttempts: 0, MaximumEventAgeInSeconds: 60 })
    expect(
      await refusal(
        client.send(
          new PutFunctionEventInvokeConfigCommand({ FunctionName: 'events', MaximumRetryAttempts: 3 }),
        ),
      ),
    ).toEqual([400, 'ValidationException', ANY])
    const OnSuccess = { Destination: `${ARN}:events` }
    const toItself = new UpdateFunctionEventInvokeConfigCommand({
      FunctionName: 'events',
      DestinationConfig: { OnSuccess },
    })
    expect(await refusal(client.send(toItself))).toEqual([
      400,
      'InvalidParameterValueException',
      "You can't specify the function as a destination for itself.",
    ])
  })

  test('a policy has its statements once, in the form of IAM', async () => {
    await made('policy')
    const add = () =>
      client.send(
        new AddPermissionCommand({
          FunctionName: 'policy',
          StatementId: 's3',
          Action: 'lambda:InvokeFunction',
          Principal: 's3.amazonaws.com',
          SourceArn: 'arn:aws:s3:::bucket',
          SourceAccount: '123456789012',
        }),
      )
    const { Statement } = await add()
    const statement: unknown = JSON.parse(String(Statement))
    expect(statement).toEqual({
      Sid: 's3',
      Effect: 'Allow',
      Principal: { Service: 's3.amazonaws.com' },
      Action: 'lambda:InvokeFunction',
      Resource: `${ARN}:policy`,
      Condition: {
        ArnLike: { 'AWS:SourceArn': 'arn:aws:s3:::bucket' },
        StringEquals: { 'AWS:SourceAccount': '123456789012' },
      },
    })
    expect(await refusal(add())).toEqual([409, 'ResourceConflictException', ANY])
    const { Policy } = await client.send(new GetPolicyCommand({ FunctionName: 'policy' }))
    expect(JSON.parse(String(Policy))).toMatchObject({ Version: '2012-10-17', Statement: [statement] })
    const remove = () =>
      client.send(new RemovePermissionCommand({ FunctionName: 'policy', StatementId: 's3' }))
    await remove()
    expect(await refusal(remove())).toEqual([404, 'ResourceNotFoundException', ANY])
  })

  test('tags come and go', async () => {
    await made('tagged')
    const Resource = `${ARN}:tagged`
    await client.send(new TagResourceCommand({ Resource, Tags: { a: '1', b: '2' } }))
    await client.send(new UntagResourceCommand({ Resource, TagKeys: ['a'] }))
    expect((await client.send(new ListTagsCommand({ Resource }))).Tags).toEqual({ b: '2' })
  })
})

test('requests that are no such request are refused before anything is looked at', async () => {
  const cases: readonly (readonly [string, number, string])[] = [
    ['{', 400, 'InvalidRequestContentException'],
    ['[]', 400, 'InvalidRequestContentException'],
    ['{"FunctionName":3}', 400, 'SerializationException'],
    ['{}', 400, 'ValidationException'],
    ['{"FunctionName":"no name"}', 400, 'ValidationException'],
    ['{"FunctionName":"x"}', 400, 'ValidationException'],
  ]
  for (const [body, status, type] of cases) {
    const answer = await project.ask('/2015-03-31/functions', { method: 'POST', body })
    expect([body, answer.status, answer.headers.get('x-amzn-errortype')]).toEqual([body, status, type])
  }
})

test('functions find the services that answer here, unless somebody says where others are', async () => {
  const own = 'http://elsewhere.example'
  const options = { handler: 'env.handler' }
  await using project_ = await serveProject(
    {
      plain: options,
      generic: { ...options, environment: { AWS_ENDPOINT_URL: own } },
      exact: { ...options, environment: { AWS_ENDPOINT_URL_SQS: own } },
    },
    {
      'env.js': `exports.handler = async () =>
        Object.fromEntries(Object.entries(process.env).filter(([name]) => name.startsWith('AWS_ENDPOINT_URL')))`,
    },
  )
  const found = async (FunctionName: string) =>
    json((await project_.client.send(new InvokeCommand({ FunctionName }))).Payload)
  const here = {
    AWS_ENDPOINT_URL_LAMBDA: project_.endpoint,
    AWS_ENDPOINT_URL_SQS: project_.endpoint,
    AWS_ENDPOINT_URL_SNS: project_.endpoint,
    AWS_ENDPOINT_URL_EVENTBRIDGE: project_.endpoint,
    AWS_ENDPOINT_URL_APIGATEWAYMANAGEMENTAPI: project_.endpoint,
  }
  expect(await found('plain')).toEqual(here)
  expect(await found('exact')).toEqual({ ...here, AWS_ENDPOINT_URL_SQS: own })
  expect(await found('generic')).toEqual({
    AWS_ENDPOINT_URL: own,
    AWS_ENDPOINT_URL_LAMBDA: project_.endpoint,
    AWS_ENDPOINT_URL_APIGATEWAYMANAGEMENTAPI: project_.endpoint,
  })
})

test('what was provisioned and configured for an alias or a version goes with it', async () => {
  const FunctionName = 'leaves'
  await made(FunctionName, 'one', { Publish: true })
  await client.send(new PutFunctionConcurrencyCommand({ FunctionName, ReservedConcurrentExecutions: 2 }))
  const create = () =>
    client.send(new CreateAliasCommand({ FunctionName, Name: 'gone', FunctionVersion: '1' }))
  const configure = async (Qualifier: string) => {
    const of = { FunctionName, Qualifier }
    await client.send(
      new PutProvisionedConcurrencyConfigCommand({ ...of, ProvisionedConcurrentExecutions: 1 }),
    )
    await client.send(new PutFunctionEventInvokeConfigCommand({ ...of, MaximumRetryAttempts: 0 }))
  }
  await create()
  await configure('gone')
  await configure('1')
  // Only an alias is deleted as one.
  await client.send(new DeleteAliasCommand({ FunctionName, Name: '1' }))
  expect(await ran(FunctionName, '1')).toMatchObject({ says: 'one' })
  await client.send(new DeleteAliasCommand({ FunctionName, Name: 'gone' }))
  await create()
  const of = { FunctionName, Qualifier: 'gone' }
  for (const command of [
    new GetProvisionedConcurrencyConfigCommand(of),
    new GetFunctionEventInvokeConfigCommand(of),
  ])
    expect((await refusal(client.send(command as GetFunctionEventInvokeConfigCommand)))[0]).toBe(404)
  await client.send(new DeleteAliasCommand({ FunctionName, Name: 'gone' }))
  await client.send(new DeleteFunctionCommand({ FunctionName, Qualifier: '1' }))
  // All that is reserved is there for the others again.
  expect(await ran(FunctionName)).toMatchObject({ says: 'one' })
  await client.send(new PutFunctionConcurrencyCommand({ FunctionName, ReservedConcurrentExecutions: 1 }))
})

test('a variable or a handler that no process can be given is refused', async () => {
  const change = new UpdateFunctionConfigurationCommand({
    FunctionName: 'declared',
    Environment: { Variables: { WITH_NUL: 'a\0b' } },
  })
  expect(await refusal(client.send(change))).toEqual([
    400,
    'InvalidParameterValueException',
    expect.stringContaining('WITH_NUL'),
  ])
  const other = new UpdateFunctionConfigurationCommand({
    FunctionName: 'declared',
    Handler: 'app\0.handler',
  })
  expect((await refusal(client.send(other)))[0]).toBe(400)
})

test('a change of the log format leaves the log group what it was', async () => {
  await made('logging')
  const LoggingConfig = { LogFormat: 'JSON' } as const
  await client.send(new UpdateFunctionConfigurationCommand({ FunctionName: 'logging', LoggingConfig }))
  const shown = await client.send(new GetFunctionConfigurationCommand({ FunctionName: 'logging' }))
  expect(shown.LoggingConfig).toEqual({ LogFormat: 'JSON', LogGroup: '/aws/lambda/logging' })
})

test('code is unpacked below .flexi, once for each content', async () => {
  const folder = join(project.directory, '.flexi', 'lambda')
  const state = JSON.parse(await readFile(join(folder, 'state.json'), 'utf8')) as { readonly format: number }
  expect(state.format).toBe(1)
  expect((await readdir(folder)).filter((name) => name.endsWith('.tmp'))).toEqual([])
  const codes = await readdir(join(folder, 'code'))
  expect(codes.filter((name) => !/^([\da-f]{64}|package\.json)$/.test(name))).toEqual([])
  await rm(join(project.directory, 'own.js'), { force: true })
})
