import type { RuntimeApi } from '../environments/runtime-api.ts'
import { TELEMETRY_PATHS, type Telemetry } from '../telemetry/telemetry.ts'
import { refusal, type ApiAnswer, type ApiRequest } from './api-request.ts'
import type { ExtensionsApi } from './extensions-api.ts'

const NOT_FOUND = refusal('NotFound', 'Not found', 404)

/** Serves the APIs of extensions where the Runtime API of their environment is. */
export function mountApis(api: RuntimeApi, extensions: ExtensionsApi, telemetry: Telemetry): void {
  const handle = (request: ApiRequest): Promise<ApiAnswer> => {
    const answer = extensions.handle(request)
    if (answer !== undefined) return answer
    if (telemetry.apiOf(request) === undefined) return Promise.resolve(NOT_FOUND)
    const found = extensions.find(request)
    return Promise.resolve('status' in found ? found : telemetry.subscribe(request, found.name))
  }
  for (const prefix of ['/2020-01-01/extension/', ...TELEMETRY_PATHS]) {
    api.mount(prefix, (call, send) => {
      const { method, path, fields, body } = call
      const request: ApiRequest = {
        method,
        path: path.split('?', 1)[0] ?? '',
        fields,
        body,
        whenClosed: (left) => {
          call.onClosed = left
        },
      }
      void handle(request).then((answer) => send(answer.status, answer.fields, answer.body))
    })
  }
}
