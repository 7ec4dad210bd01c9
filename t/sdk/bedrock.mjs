// npm's @aws-sdk/client-bedrock-runtime against the gateway. It speaks HTTP/2 to
// AWS; given a handler for it, HTTP/1.1.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  BedrockRuntimeClient,
  ConverseCommand,
  ConverseStreamCommand,
  AccessDeniedException,
  InternalServerException,
  ResourceNotFoundException,
  ServiceUnavailableException,
  ThrottlingException,
  ValidationException,
} from '@aws-sdk/client-bedrock-runtime';
import { NodeHttpHandler } from '@smithy/node-http-handler';
import { gateway, lastRequest, mocked, upstreamFreed, weather } from './lib.mjs';

const modelId = 'arn:aws:bedrock:eu-central-1:123456789012:inference-profile/eu.amazon.nova-lite-v1:0';
const ask = { modelId, messages: [{ role: 'user', content: [{ text: 'What is 1+1?' }] }] };
const toolConfig = { tools: [{ toolSpec: { name: 'get_weather', inputSchema: { json: weather } } }], toolChoice: { any: {} } };

/** A client whose requests carry a script for the mock. */
function clientWith(script) {
  const client = new BedrockRuntimeClient({
    region: 'us-east-1',
    endpoint: gateway + '/bedrock',
    credentials: { accessKeyId: 'client', secretAccessKey: 'secret' },
    maxAttempts: 1,
    requestHandler: new NodeHttpHandler({ requestTimeout: 10_000 }),
  });
  client.middlewareStack.add(
    (next) => (args) => {
      Object.assign(args.request.headers, mocked(script).headers);
      return next(args);
    },
    { step: 'build' },
  );
  return client;
}

const send = (command, script = {}, options = {}) => clientWith(script).send(command, options);

/** The events of a stream by their names, and its text. */
async function readAll(answer) {
  const seen = { names: [], text: '', input: '', stop: null, usage: null };
  for await (const event of answer.stream) {
    seen.names.push(Object.keys(event)[0]);
    seen.text += event.contentBlockDelta?.delta?.text ?? '';
    seen.input += event.contentBlockDelta?.delta?.toolUse?.input ?? '';
    seen.stop = event.messageStop?.stopReason ?? seen.stop;
    seen.usage = event.metadata?.usage ?? seen.usage;
  }
  return seen;
}

test('plain', async () => {
  const answer = await send(new ConverseCommand(ask));
  assert.equal(answer.output.message.content[0].text, '1+1 equals 2.');
  assert.equal(answer.stopReason, 'end_turn');
  assert.equal(answer.usage.totalTokens, 6);
  const seen = await lastRequest();
  assert.equal(seen.target, '/model/' + encodeURIComponent(modelId) + '/converse');
  assert.match(seen.headers.authorization, /^AWS4-HMAC-SHA256 Credential=AKID\//, 'the signature is the gateway\'s');
  assert.deepEqual(seen.json, { messages: ask.messages });
});

test('stream', async () => {
  for (const script of [{}, { split: 1 }, { split: 'random' }, { 'chunk-size': 3 }, { batch: 7 }]) {
    const seen = await readAll(await send(new ConverseStreamCommand(ask), script));
    assert.equal(seen.text, '1+1 equals 2.', JSON.stringify(script));
    assert.equal(seen.stop, 'end_turn');
    assert.equal(seen.usage.totalTokens, 6);
    assert.equal(seen.names[0], 'messageStart');
  }
  assert.match((await lastRequest()).target, /\/converse-stream$/);
});

test('tools', async () => {
  const answer = await send(new ConverseCommand({ ...ask, toolConfig }));
  const { toolUse } = answer.output.message.content[0];
  assert.equal(answer.stopReason, 'tool_use');
  assert.equal(toolUse.name, 'get_weather');
  assert.equal(typeof toolUse.input.city, 'string');
  const seen = await readAll(await send(new ConverseStreamCommand({ ...ask, toolConfig })));
  assert.equal(seen.stop, 'tool_use');
  assert.deepEqual(JSON.parse(seen.input), toolUse.input);
});

test('an exception inside the stream', async () => {
  const answer = await send(new ConverseStreamCommand(ask), { 'error-event': 3, 'error-type': 'throttlingException' });
  await assert.rejects(readAll(answer), ThrottlingException);
});

for (const [status, type, kind] of [
  [400, 'ValidationException', ValidationException],
  [403, 'AccessDeniedException', AccessDeniedException],
  [404, 'ResourceNotFoundException', ResourceNotFoundException],
  [429, 'ThrottlingException', ThrottlingException],
  [500, 'InternalServerException', InternalServerException],
  [503, 'ServiceUnavailableException', ServiceUnavailableException],
]) {
  for (const Command of [ConverseCommand, ConverseStreamCommand]) {
    test(`status ${status}, ${Command.name}`, async () => {
      await assert.rejects(send(new Command(ask), { status }), (err) => {
        assert.ok(err instanceof kind, `${err.constructor.name}, not ${type}: ${err.message}`);
        assert.equal(err.$metadata.httpStatusCode, status);
        assert.match(err.message, /the mock was told to answer/);
        return true;
      });
    });
  }
}

for (const [name, script] of [['cut', { cut: 3 }], ['cut by a reset', { reset: 3 }], ['stalled', { stall: 3 }]]) {
  test(`a stream that is ${name} raises an error`, async () => {
    await assert.rejects(async () => readAll(await send(new ConverseStreamCommand(ask), script)));
    await upstreamFreed();
  });
}

test('abort in the middle of a stream', async () => {
  const control = new AbortController();
  const answer = await send(new ConverseStreamCommand(ask), { tokens: 10000, gap: '20ms' }, { abortSignal: control.signal });
  await assert.rejects(async () => {
    for await (const event of answer.stream) {
      if (event.contentBlockDelta) control.abort();
    }
  });
  await upstreamFreed();
});

test('abort before the first byte', async () => {
  const control = new AbortController();
  const wait = send(new ConverseStreamCommand(ask), { hang: 1 }, { abortSignal: control.signal });
  setTimeout(() => control.abort(), 100);
  await assert.rejects(wait, { name: 'AbortError' });
  await upstreamFreed();
});
