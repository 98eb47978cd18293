import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { afterAll, expect } from 'vitest'

import { runsWith, tool } from './client-conformance.ts'

const SOURCE = `package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"strings"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
)

func handle(ctx context.Context, event json.RawMessage) (any, error) {
	var asked struct {
		Case  string
		Bytes int
	}
	if err := json.Unmarshal(event, &asked); err != nil {
		return nil, err
	}
	switch asked.Case {
	case "fail":
		return nil, errors.New("told")
	case "crash":
		os.Exit(3)
	case "big":
		return strings.Repeat("x", asked.Bytes), nil
	case "break":
		reader, writer := io.Pipe()
		go func() {
			writer.Write([]byte("one"))
			writer.CloseWithError(errors.New("told"))
		}()
		return reader, nil
	case "stream":
		reader, writer := io.Pipe()
		go func() {
			for _, part := range []string{"one", " two", " three"} {
				writer.Write([]byte(part))
				time.Sleep(30 * time.Millisecond)
			}
			writer.Close()
		}()
		return reader, nil
	}
	return event, nil
}

func main() { lambda.Start(handle) }
`

const source = await mkdtemp(join(tmpdir(), 'flexi-go-source-'))
const folder = await mkdtemp(join(tmpdir(), 'flexi-go-'))
await writeFile(join(source, 'go.mod'), 'module tested\n\ngo 1.21\n')
await writeFile(join(source, 'main.go'), SOURCE)
const missing =
  tool('go', ['get', 'github.com/aws/aws-lambda-go@v1.49.0'], source) ??
  tool('go', ['build', '-tags', 'lambda.norpc', '-o', join(folder, 'bootstrap'), '.'], source, {
    CGO_ENABLED: '0',
  })

runsWith(
  'aws-lambda-go',
  { folder, missing },
  {
    config: { handler: 'bootstrap', options: { runtime: 'provided.al2023' } },
    failure: { errorMessage: 'told', errorType: 'errorString' },
    crash: { errorType: 'Runtime.ExitError', errorMessage: expect.stringContaining('exit status 3') },
    streams: true,
  },
)

afterAll(async () => {
  await Promise.all([source, folder].map((each) => rm(each, { recursive: true, force: true })))
})
