/** JavaScript of the control worker (module.ts). */
export const LOADER_SOURCE = `
async function handleLoad(request, url, env, ctx) {
  return new Response('not there yet', { status: 501 })
}
async function serveLoaded(request, env, ctx) {
  return new Response('nothing is loaded', { status: 503 })
}
`
