import { errorMessage, FlexiError } from '../../../core/errors.ts'
import type { ApiHost, OpenApi } from '../../../core/function.ts'
import { discard } from '../../../forward/request-body.ts'
import type { AsyncTuning } from '../async/async-queue.ts'
import type { ApiCall } from './api-call.ts'
import { ApiError, asApiError, sendError } from './api-error.ts'
import { Background } from './background.ts'
import { CodeStore } from './code-store.ts'
import { openConfigurations } from './configuration.ts'
import { Deployments } from './deployments.ts'
import { Functions } from './functions.ts'
import { openOperations, type Operations } from './operation-table.ts'
import { answerOther, isLambdas } from './other-services.ts'
import type { State } from './state.ts'
import { StateStore } from './state-store.ts'
import { Urls } from './urls.ts'

export interface LambdaApiOptions extends Partial<AsyncTuning> {
  /** 0 to 1: which version of an alias is taken. */
  readonly random?: (() => number) | undefined
}

/** Lambda's own API over the functions that are served, for SDKs and command lines, and what stands behind it. Signatures are not looked at. */
export async function openLambdaApi(host: ApiHost, options: LambdaApiOptions = {}): Promise<OpenApi> {
  const { random = Math.random, ...tuning } = options
  const store = await StateStore.open(host.stateDirectory, host.log)
  const functions = new Functions({ host, store, environment: process.env, random })
  const codes = new CodeStore(host.stateDirectory)
  const deployments = new Deployments(functions, codes)
  const background = new Background({ host, deployments, tuning })
  const urls = new Urls(deployments)
  const parts = { deployments, configurations: openConfigurations(functions), now: Date.now }
  const operations = openOperations(parts, background, urls)
  await deployments.exclusive(async () => {
    await codes.sweep(neededCodes(store.state))
    await deployments.restore()
    await urls.restore()
    await background
      .start()
      .catch((error: unknown) => host.log.error('api.start', { message: errorMessage(error) }))
  })

  const others = { host, brokers: () => background.brokers() }
  return {
    handle(incoming, outgoing, context) {
      const exchange = { incoming, outgoing, context }
      return isLambdas(context.raw.target)
        ? answerCall(operations, exchange)
        : answerOther(others, exchange).then((done) => (done ? undefined : answerCall(operations, exchange)))
    },
    changed() {
      void deployments
        .exclusive(async () => {
          await deployments.reconcile()
          await background.changed()
        })
        .catch((error: unknown) => host.log.error('api.change', { message: errorMessage(error) }))
    },
    async [Symbol.asyncDispose]() {
      await background[Symbol.asyncDispose]()
      await store.settled()
    },
  }
}

/** Whatever is named anywhere: a layer that was deleted is still there for the functions that have it. */
function neededCodes(state: State): ReadonlySet<string> {
  return new Set(JSON.stringify(state).match(/\b[\da-f]{64}\b/g))
}

async function answerCall(
  operations: Operations,
  { incoming, outgoing, context }: Pick<ApiCall, 'incoming' | 'outgoing' | 'context'>,
): Promise<void> {
  outgoing.setHeader('x-amzn-RequestId', context.id)
  try {
    await operations({ incoming, outgoing, context })
  } catch (error) {
    if (!isRefusal(error) || outgoing.headersSent) throw error
    sendError(asApiError(error), outgoing)
    discard(incoming)
  }
}

/** Everything else is a fault of ours or a client that left: the gateway knows what to do. */
function isRefusal(error: unknown): boolean {
  return error instanceof ApiError || (error instanceof FlexiError && error.code !== 'FLEXI_CLIENT_GONE')
}
