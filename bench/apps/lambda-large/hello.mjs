const body = JSON.stringify(Array.from({ length: 10_000 }, (_, n) => ({ n, text: 'x'.repeat(80) }))).slice(0, 1_048_576)

export const handler = async () => ({ statusCode: 200, headers: { 'content-type': 'text/plain' }, body })
