import { describe, expect, test } from 'vitest'

import { type Peer, type ProjectFiles, startFlexi } from '../../oracle/peers.ts'
import { ask } from '../../oracle/raw-http.ts'

/** Projects in the shapes that create-cloudflare writes; `observability` and comments stay, as nobody takes them out. */
const OBSERVED =
  '"observability": { "enabled": true, "head_sampling_rate": 1, }, // see https://developers.cloudflare.com\n'

const HELLO_ASSETS: ProjectFiles = {
  'wrangler.jsonc': `{ "name": "hello", "main": "src/index.ts", "compatibility_date": "2026-04-01", "compatibility_flags": ["global_fetch_strictly_public"],
  "assets": { "directory": "./public" }, ${OBSERVED} }`,
  'public/index.html': '<h1 id="heading"></h1><script>fetch("/message")</script>',
  'src/index.ts': `export default {
	async fetch(request, env, ctx): Promise<Response> {
		switch (new URL(request.url).pathname) {
			case '/message': return new Response('Hello, World!');
			case '/random': return new Response(crypto.randomUUID());
			default: return new Response('Not Found', { status: 404 });
		}
	},
} satisfies ExportedHandler<Env>;`,
}

const DURABLE_OBJECT: ProjectFiles = {
  'wrangler.jsonc': `{ "name": "object", "main": "src/index.ts", "compatibility_date": "2026-04-01",
  "migrations": [{ "new_sqlite_classes": ["MyDurableObject"], "tag": "v1" }],
  "durable_objects": { "bindings": [{ "class_name": "MyDurableObject", "name": "MY_DURABLE_OBJECT" }] }, ${OBSERVED} }`,
  'src/index.ts': `import { DurableObject } from 'cloudflare:workers';
export class MyDurableObject extends DurableObject<Env> {
	constructor(ctx: DurableObjectState, env: Env) { super(ctx, env); }
	async sayHello(name: string): Promise<string> { return \`Hello, \${name}!\`; }
}
export default {
	async fetch(request, env, ctx): Promise<Response> {
		return new Response(await env.MY_DURABLE_OBJECT.getByName('foo').sayHello('world'));
	},
} satisfies ExportedHandler<Env>;`,
}

const QUEUES: ProjectFiles = {
  'wrangler.jsonc': `{ "name": "queues", "main": "src/index.ts", "compatibility_date": "2026-04-01", ${OBSERVED}
  "queues": { "consumers": [{ "queue": "my-queue", "max_batch_timeout": 1 }], "producers": [{ "binding": "MY_QUEUE", "queue": "my-queue" }] } }`,
  'src/index.ts': `export default {
	async fetch(req, env, ctx): Promise<Response> {
		await env.MY_QUEUE.send({ url: req.url, method: req.method, headers: Object.fromEntries(req.headers) });
		return new Response('Sent message to the queue');
	},
	async queue(batch, env): Promise<void> {
		for (let message of batch.messages) console.log(\`message \${message.id} processed: \${JSON.stringify(message.body)}\`);
	},
} satisfies ExportedHandler<Env, Error>;`,
}

const SCHEDULED: ProjectFiles = {
  'wrangler.jsonc': `{ "name": "scheduled", "main": "src/index.ts", "compatibility_date": "2026-04-01", ${OBSERVED} "triggers": { "crons": ["0 0 1 1 *"] } }`,
  'src/index.ts': `export default {
	async fetch(req) { return new Response('see /__scheduled'); },
	async scheduled(event, env, ctx): Promise<void> { console.log(\`trigger fired at \${event.cron}: success\`); },
} satisfies ExportedHandler<Env>;`,
}

const WORKFLOWS: ProjectFiles = {
  'wrangler.jsonc': `{ "name": "flows", "main": "src/index.ts", "compatibility_date": "2026-04-01", ${OBSERVED}
  "workflows": [{ "name": "workflow-flows", "binding": "MY_WORKFLOW", "class_name": "MyWorkflow" }] }`,
  'src/index.ts': `import { WorkflowEntrypoint, WorkflowEvent, WorkflowStep } from 'cloudflare:workers';
export class MyWorkflow extends WorkflowEntrypoint<Env, Params> {
	async run(event: WorkflowEvent<Params>, step: WorkflowStep) {
		const files = await step.do('my first step', async () => ({ inputParams: event, files: ['a.pdf'] }));
		await step.waitForEvent('request-approval', { type: 'approval', timeout: '1 minute' });
		return files.files;
	}
}
export default {
	async fetch(req: Request, env: Env): Promise<Response> {
		let id = new URL(req.url).searchParams.get('instanceId');
		if (id) return Response.json({ status: await (await env.MY_WORKFLOW.get(id)).status() });
		let instance = await env.MY_WORKFLOW.create();
		return Response.json({ id: instance.id, details: await instance.status() });
	},
};`,
}

const ASSETS_ONLY: ProjectFiles = {
  'wrangler.jsonc': `{ "name": "only", "compatibility_date": "2026-04-01", "assets": { "directory": "./public" }, ${OBSERVED} }`,
  'public/index.html': '<h1>Hello, World!</h1>',
}

/** Each project is served for one test, so that several can start at once. */
async function served<T>(files: ProjectFiles, use: (flexi: Peer) => Promise<T>): Promise<T> {
  await using flexi = await startFlexi(files)
  // Awaited here: the project is gone when this returns.
  return await use(flexi)
}

const text = async ({ origin }: Peer, path: string): Promise<string> =>
  (await ask(origin, { path })).body.toString()

describe('projects as create-cloudflare writes them run unchanged', () => {
  test('a worker with assets', async () => {
    await served(HELLO_ASSETS, async (flexi) => {
      expect(await text(flexi, '/')).toContain('id="heading"')
      expect(await text(flexi, '/message')).toBe('Hello, World!')
      expect(await text(flexi, '/random')).toMatch(/^[\da-f-]{36}$/)
      expect((await ask(flexi.origin, { path: '/other' })).status).toBe(404)
    })
  })

  test('assets without a worker', async () => {
    await served(ASSETS_ONLY, async (flexi) => {
      expect(await text(flexi, '/')).toBe('<h1>Hello, World!</h1>')
      expect((await ask(flexi.origin, { path: '/other' })).status).toBe(404)
    })
  })

  test('a Durable Object', async () => {
    await served(DURABLE_OBJECT, async (flexi) => expect(await text(flexi, '/')).toBe('Hello, world!'))
  })

  test('a queue and its consumer', async () => {
    await served(QUEUES, async (flexi) => {
      expect(await text(flexi, '/')).toBe('Sent message to the queue')
      await expect.poll(() => flexi.output()).toMatch(/message [\da-f]+ processed: \{"url":"http:/)
    })
  })

  test('a cron trigger', async () => {
    await served(SCHEDULED, async (flexi) => {
      expect(await text(flexi, '/__scheduled?cron=*+*+*+*+*')).toBe('Ran scheduled event')
      await expect.poll(() => flexi.output()).toContain('trigger fired at * * * * *: success')
    })
  })

  test('a workflow', async () => {
    await served(WORKFLOWS, async (flexi) => {
      const { id } = JSON.parse(await text(flexi, '/')) as { id: string }
      await expect
        .poll(() => text(flexi, `/?instanceId=${id}`))
        .toMatch(/"status":"(waiting|running)".*a\.pdf/)
    })
  })
})
