import { afterAll, beforeAll, describe, expect, test } from 'vitest'

import { type Peer, startFlexi } from '../../oracle/peers.ts'
import { ask } from '../../oracle/raw-http.ts'

/**
 * A folder in which `npm create cloudflare -- --framework react-router` and `react-router build` have run. Making one installs 150 packages,
 * so it is not made here.
 */
const PREPARED = process.env['FLEXI_REACT_ROUTER_PROJECT']

/** What that build leaves, in its shape: the configuration is led elsewhere, nothing is to be bundled, chunks are loaded when needed. */
const BUILT = {
  'wrangler.jsonc':
    '{ "name": "rr", "main": "./workers/app.ts", "compatibility_date": "2026-04-01", "vars": { "FROM": "the source" } }',
  'workers/app.ts': 'export default not typescript at all',
  '.wrangler/deploy/config.json': '{"configPath":"../../build/server/wrangler.json","auxiliaryWorkers":[]}',
  'build/server/wrangler.json': JSON.stringify({
    configPath: '/home/me/rr/wrangler.jsonc',
    userConfigPath: '/home/me/rr/wrangler.jsonc',
    topLevelName: 'rr',
    definedEnvironments: [],
    legacy_env: true,
    compatibility_date: '2026-04-01',
    compatibility_flags: [],
    jsx_factory: 'React.createElement',
    jsx_fragment: 'React.Fragment',
    rules: [{ type: 'ESModule', globs: ['**/*.js', '**/*.mjs'] }],
    name: 'rr',
    main: 'index.js',
    triggers: {},
    assets: { directory: '../client' },
    vars: { FROM: 'the build' },
    durable_objects: { bindings: [] },
    workflows: [],
    migrations: [],
    kv_namespaces: [],
    cloudchamber: {},
    send_email: [],
    queues: { producers: [], consumers: [] },
    r2_buckets: [],
    d1_databases: [],
    vectorize: [],
    hyperdrive: [],
    services: [],
    analytics_engine_datasets: [],
    dispatch_namespaces: [],
    mtls_certificates: [],
    pipelines: [],
    secrets_store_secrets: [],
    unsafe_hello_world: [],
    worker_loaders: [],
    ratelimits: [],
    vpc_services: [],
    logfwdr: { bindings: [] },
    python_modules: { exclude: ['**/*.pyc'] },
    dev: {
      ip: 'localhost',
      local_protocol: 'http',
      upstream_protocol: 'http',
      enable_containers: true,
      generate_types: false,
    },
    no_bundle: true,
  }),
  'build/server/index.js': 'import { w } from "./assets/worker-entry-AbC_1.js";\nexport { w as default };\n',
  'build/server/assets/worker-entry-AbC_1.js': `import { env } from "cloudflare:workers";
const w = {
  async fetch(request) {
    const { render } = await import("./server-build-d_2-.js");
    return render(request, env);
  }
};
export { w };
`,
  'build/server/assets/server-build-d_2-.js': `const render = (request, { FROM }) =>
  new Response("<p>" + new URL(request.url).pathname + " of " + FROM + "</p>", { headers: { "content-type": "text/html" } });
export { render };
`,
  'build/client/.assetsignore': '.vite\n',
  'build/client/.vite/manifest.json': '{}',
  'build/client/favicon.ico': 'icon',
  'build/client/assets/root-Ab1.js': 'export {}',
}

describe('a build of React Router’s template for Workers is served as it is', () => {
  let flexi: Peer

  beforeAll(async () => {
    flexi = await startFlexi(BUILT)
  }, 40_000)
  afterAll(async () => flexi?.[Symbol.asyncDispose]())

  test('its program and its variables are those of the configuration that the build wrote', async () => {
    const { status, body } = await ask(flexi.origin, { path: '/some/page' })
    expect([status, body.toString()]).toEqual([200, '<p>/some/page of the build</p>'])
  })

  test('its assets come first, and those it ignores do not', async () => {
    expect((await ask(flexi.origin, { path: '/assets/root-Ab1.js' })).body.toString()).toBe('export {}')
    expect((await ask(flexi.origin, { path: '/favicon.ico' })).body.toString()).toBe('icon')
    expect((await ask(flexi.origin, { path: '/.vite/manifest.json' })).body.toString()).toBe(
      '<p>/.vite/manifest.json of the build</p>',
    )
  })
})

describe.skipIf(PREPARED === undefined)(
  `the template itself${PREPARED === undefined ? ' (FLEXI_REACT_ROUTER_PROJECT names no folder that create-cloudflare and react-router build made)' : ''}`,
  () => {
    test('renders on the server, serves what the page needs, and says 404', async () => {
      await using flexi = await startFlexi(PREPARED ?? '')
      const page = await ask(flexi.origin, { path: '/' })
      expect(page.status).toBe(200)
      expect(page.body.toString()).toContain('Hello from Cloudflare')
      const scripts = [...page.body.toString().matchAll(/"(\/assets\/[\w.-]+\.(?:js|css))"/g)].map(
        ([, path = '']) => path,
      )
      expect(scripts.length).toBeGreaterThan(2)
      for (const path of new Set(scripts))
        expect([path, (await ask(flexi.origin, { path })).status]).toEqual([path, 200])
      expect((await ask(flexi.origin, { path: '/nowhere' })).status).toBe(404)
    })
  },
)
