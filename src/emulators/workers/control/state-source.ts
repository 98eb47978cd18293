/** JavaScript of the control worker (module.ts). */
export const STATE_SOURCE = `
async function handleState(request, url, env, ctx) {
  return new Response('not there yet', { status: 501 })
}

`
