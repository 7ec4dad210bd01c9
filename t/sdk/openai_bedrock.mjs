// npm's openai on a route whose provider is Amazon Bedrock: chat becomes Converse.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import OpenAI from 'openai';
import { gateway, lastRequest, mocked, readChunks, upstreamFreed, weather } from './lib.mjs';

const client = new OpenAI({ apiKey: 'client-key', baseURL: gateway + '/bedrock-chat/v1', maxRetries: 0, timeout: 10_000 });
const messages = [{ role: 'user', content: 'What is 1+1?' }];
const ask = { model: 'eu.amazon.nova-lite-v1:0', messages };
const tools = [{ type: 'function', function: { name: 'get_weather', parameters: weather } }];

test('plain', async () => {
  const answer = await client.chat.completions.create({
    ...ask,
    messages: [{ role: 'system', content: 'Be brief.' }, ...messages],
    max_completion_tokens: 64,
    temperature: 0.5,
    stop: ['END'],
  });
  assert.equal(answer.choices[0].message.content, '1+1 equals 2.');
  assert.equal(answer.choices[0].finish_reason, 'stop');
  assert.equal(answer.model, ask.model);
  assert.match(answer.id, /^chatcmpl-./);
  assert.ok(Math.abs(answer.created - Date.now() / 1000) < 60);
  assert.deepEqual([answer.usage.prompt_tokens, answer.usage.completion_tokens, answer.usage.total_tokens], [5, 3, 8]);
  const seen = await lastRequest();
  assert.equal(seen.target, '/model/eu.amazon.nova-lite-v1%3A0/converse');
  assert.match(seen.headers.authorization, /^AWS4-HMAC-SHA256 /, 'the signature replaces the key of the client');
  assert.deepEqual(seen.json, {
    messages: [{ role: 'user', content: [{ text: 'What is 1+1?' }] }],
    system: [{ text: 'Be brief.' }],
    inferenceConfig: { maxTokens: 64, temperature: 0.5, stopSequences: ['END'] },
  });
});

test('stream with usage', async () => {
  const stream = await client.chat.completions.create({ ...ask, stream: true, stream_options: { include_usage: true } });
  const { text, usage, finish } = await readChunks(stream);
  assert.equal(text, '1+1 equals 2.');
  assert.equal(finish, 'stop');
  assert.deepEqual([usage.prompt_tokens, usage.completion_tokens, usage.total_tokens], [3, 3, 6]);
});

test('stream in any pieces, without asking for usage', async () => {
  for (const script of [{}, { split: 1 }, { split: 'random' }, { 'chunk-size': 3 }, { batch: 5 }, { framing: 'close' }, { framing: 'length' }]) {
    const answer = await client.chat.completions.stream(ask, mocked(script)).finalChatCompletion();
    assert.equal(answer.choices[0].message.content, '1+1 equals 2.', JSON.stringify(script));
    assert.equal(answer.usage, undefined);
  }
});

test('tools, there and back', async () => {
  const offer = { ...ask, tools, tool_choice: 'required' };
  for (const answer of [await client.chat.completions.create(offer), await client.chat.completions.stream(offer).finalChatCompletion()]) {
    const { message, finish_reason } = answer.choices[0];
    const [call] = message.tool_calls;
    assert.equal(finish_reason, 'tool_calls');
    assert.equal(message.content, null);
    assert.equal(call.function.name, 'get_weather');
    assert.equal(typeof JSON.parse(call.function.arguments).city, 'string');
    await client.chat.completions.create({
      ...offer,
      tool_choice: 'auto',
      messages: [...messages, message, { role: 'tool', tool_call_id: call.id, content: 'rain' }, { role: 'user', content: 'And?' }],
    });
    const sent = (await lastRequest()).json;
    assert.deepEqual(sent.messages[1].content, [
      { toolUse: { toolUseId: call.id, name: 'get_weather', input: JSON.parse(call.function.arguments) } },
    ]);
    assert.deepEqual(sent.messages[2], {
      role: 'user',
      content: [{ toolResult: { toolUseId: call.id, content: [{ text: 'rain' }] } }, { text: 'And?' }],
    });
    assert.deepEqual(sent.toolConfig.toolChoice, { auto: {} });
  }
});

test('images and files', async () => {
  const content = [
    { type: 'text', text: 'What is this?' },
    { type: 'image_url', image_url: { url: 'data:image/png;base64,iVBORw0KGgo=' } },
    { type: 'file', file: { filename: 'a b.pdf', file_data: 'data:application/pdf;base64,JVBERi0=' } },
  ];
  await client.chat.completions.create({ ...ask, messages: [{ role: 'user', content }] });
  assert.deepEqual((await lastRequest()).json.messages[0].content, [
    { text: 'What is this?' },
    { image: { format: 'png', source: { bytes: 'iVBORw0KGgo=' } } },
    { document: { format: 'pdf', name: 'a b-pdf', source: { bytes: 'JVBERi0=' } } },
  ]);
});

test('what cannot be converted is said by name', async () => {
  await assert.rejects(client.chat.completions.create({ ...ask, n: 2 }), (err) => {
    assert.ok(err instanceof OpenAI.BadRequestError);
    assert.match(err.message, /cannot convert n: /);
    assert.equal(err.param, 'n');
    return true;
  });
});

for (const [status, kind] of [
  [400, OpenAI.BadRequestError],
  [403, OpenAI.PermissionDeniedError],
  [404, OpenAI.NotFoundError],
  [429, OpenAI.RateLimitError],
  [500, OpenAI.InternalServerError],
  [503, OpenAI.InternalServerError],
]) {
  for (const stream of [false, true]) {
    test(`status ${status}${stream ? ', streamed' : ''}`, async () => {
      await assert.rejects(client.chat.completions.create({ ...ask, stream }, mocked({ status })), (err) => {
        assert.ok(err instanceof kind, `${err.constructor.name}: ${err.message}`);
        assert.match(err.message, /the mock was told to answer/);
        return true;
      });
    });
  }
}

test('an exception inside the stream', async () => {
  const stream = await client.chat.completions.create(
    { ...ask, stream: true },
    mocked({ 'error-event': 3, 'error-type': 'throttlingException' }),
  );
  await assert.rejects(
    readChunks(stream),
    (err) => err instanceof OpenAI.APIError && err.code === 'throttlingException' && err.type === 'rate_limit_error',
  );
});

for (const [name, script] of [
  ['cut', { cut: 3 }],
  ['cut by a reset', { reset: 3 }],
  ['cut, until-close body', { cut: 3, framing: 'close' }],
  ['stalled', { stall: 3 }],
  ['damaged', { garbage: 'event:3' }],
  ['ended too early', { 'no-done': 1 }],
]) {
  test(`a stream that is ${name} raises an error`, async () => {
    const stream = await client.chat.completions.create({ ...ask, stream: true }, mocked(script));
    await assert.rejects(readChunks(stream));
    await upstreamFreed();
  });
}

test('abort in the middle of a stream', async () => {
  const stream = await client.chat.completions.create({ ...ask, stream: true }, mocked({ tokens: 10000, gap: '20ms' }));
  for await (const chunk of stream) {
    if (chunk.choices[0]?.delta?.content) break; // leaving the loop aborts
  }
  await upstreamFreed();
});
