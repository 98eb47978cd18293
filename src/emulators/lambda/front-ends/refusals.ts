import type { HttpAnswer } from './front-end.ts'

/** An answer of AWS's own: JSON, with the error's type where SDKs look for it. */
export function jsonAnswer(status: number, body: string, errorType?: string): HttpAnswer {
  const type = errorType === undefined ? [] : ['x-amzn-errortype', errorType]
  return { status, fields: ['content-type', 'application/json', ...type], body }
}

/** A page as load balancers write them. */
export function htmlAnswer(status: number, phrase: string): HttpAnswer {
  const title = `${status} ${phrase}`
  const body =
    `<html>\r\n<head><title>${title}</title></head>\r\n` +
    `<body>\r\n<center><h1>${title}</h1></center>\r\n</body>\r\n</html>\r\n`
  return { status, fields: ['server', 'awselb/2.0', 'content-type', 'text/html'], body }
}
