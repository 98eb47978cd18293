import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { afterAll, expect } from 'vitest'

import { runsWith, tool } from './client-conformance.ts'

const MANIFEST = `[package]
name = "bootstrap"
version = "0.1.0"
edition = "2021"

[dependencies]
lambda_runtime = { version = "1", default-features = false }
serde_json = "1"
tokio = { version = "1", features = ["rt", "macros"] }

[profile.dev]
debug = false
`

const SOURCE = `use lambda_runtime::{run, service_fn, Error, LambdaEvent};
use serde_json::Value;

async fn handle(event: LambdaEvent<Value>) -> Result<Value, Error> {
    match event.payload["case"].as_str() {
        Some("fail") => Err("told".into()),
        Some("crash") => std::process::exit(3),
        Some("big") => Ok(Value::String("x".repeat(event.payload["bytes"].as_u64().unwrap_or(0) as usize))),
        _ => Ok(event.payload),
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    run(service_fn(handle)).await
}
`

const source = await mkdtemp(join(tmpdir(), 'flexi-rust-source-'))
const folder = await mkdtemp(join(tmpdir(), 'flexi-rust-'))
await mkdir(join(source, 'src'))
await writeFile(join(source, 'Cargo.toml'), MANIFEST)
await writeFile(join(source, 'src', 'main.rs'), SOURCE)
// A minute of compiling is spent once: what was compiled stays with the project's other caches.
const target = join(import.meta.dirname, '../../../node_modules/.cache/flexi-rust')
const missing =
  tool('cargo', ['build', '--quiet', '--target-dir', target], source) ??
  tool('cp', [join(target, 'debug', 'bootstrap'), join(folder, 'bootstrap')], source)

runsWith(
  'lambda_runtime of Rust',
  { folder, missing },
  {
    config: { handler: 'bootstrap', options: { runtime: 'provided.al2023' } },
    failure: { errorMessage: 'told' },
    crash: { errorType: 'Runtime.ExitError', errorMessage: expect.stringContaining('exit status 3') },
  },
)

afterAll(async () => {
  await Promise.all([source, folder].map((each) => rm(each, { recursive: true, force: true })))
})
