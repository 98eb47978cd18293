/** JavaScript of the control worker (module.ts). */
export const TRIGGERS_SOURCE = `
async function handleTrigger(request, url, env, ctx) {
  return new Response('not there yet', { status: 501 })
}

`
