// npm's @anthropic-ai/sdk against the gateway.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import Anthropic from '@anthropic-ai/sdk';
import { gateway, lastRequest, mocked, upstreamFreed, weather } from './lib.mjs';

const options = { maxRetries: 0, timeout: 10_000 };
const client = new Anthropic({ ...options, apiKey: 'client-key', authToken: null, baseURL: gateway + '/anthropic' });
const bearer = new Anthropic({ ...options, apiKey: null, authToken: 'client-token', baseURL: gateway + '/bearer' });
const converted = new Anthropic({ ...options, apiKey: 'client-key', authToken: null, baseURL: gateway + '/converted' });
const ask = { model: 'claude', max_tokens: 64, messages: [{ role: 'user', content: 'What is 1+1?' }] };
const tools = [{ name: 'get_weather', input_schema: weather }];

test('plain, x-api-key', async () => {
  const answer = await client.messages.create(ask);
  assert.equal(answer.content[0].text, '1+1 equals 2.');
  assert.equal(answer.stop_reason, 'end_turn');
  assert.ok(answer.usage.output_tokens > 0);
  const seen = await lastRequest();
  assert.equal(seen.path, '/v1/messages');
  assert.equal(seen.headers['x-api-key'], 'sk-ant', 'the key of the route replaces that of the client');
  assert.match(seen.headers['anthropic-version'], /^\d{4}-\d\d-\d\d$/);
});

test('plain, bearer token', async () => {
  const answer = await bearer.messages.create(ask);
  assert.equal(answer.content[0].text, '1+1 equals 2.');
  assert.equal((await lastRequest()).headers.authorization, 'Bearer sk-ant-token');
});

test('stream with usage', async () => {
  for (const c of [client, bearer]) {
    const stream = c.messages.stream(ask);
    let text = '';
    stream.on('text', (t) => (text += t));
    const answer = await stream.finalMessage();
    assert.equal(text, '1+1 equals 2.');
    assert.equal(answer.stop_reason, 'end_turn');
    assert.ok(answer.usage.input_tokens > 0 && answer.usage.output_tokens > 0);
  }
  assert.equal((await lastRequest()).json.stream_options, undefined);
});

test('stream in any pieces', async () => {
  for (const script of [{ split: 1 }, { split: 'random' }, { crlf: 1 }, { comments: 2 }, { 'chunk-size': 3 }]) {
    const answer = await client.messages.stream(ask, mocked(script)).finalMessage();
    assert.equal(answer.content[0].text, '1+1 equals 2.', JSON.stringify(script));
  }
});

test('tools', async () => {
  const answer = await client.messages.create({ ...ask, tools }, mocked({ tool: 'get_weather' }));
  const call = answer.content.find((c) => c.type === 'tool_use');
  assert.equal(answer.stop_reason, 'tool_use');
  assert.equal(call.name, 'get_weather');
  assert.equal(typeof call.input, 'object');
});

test('tools, streamed', async () => {
  const answer = await client.messages.stream({ ...ask, tools }, mocked({ tool: 'get_weather' })).finalMessage();
  const call = answer.content.find((c) => c.type === 'tool_use');
  assert.equal(call.name, 'get_weather');
  assert.ok(Object.keys(call.input).length > 0);
});

test('abort in the middle of a stream', async () => {
  const stream = await client.messages.create({ ...ask, stream: true }, mocked({ tokens: 10000, gap: '20ms' }));
  for await (const event of stream) {
    if (event.type === 'content_block_delta') break;
  }
  stream.controller.abort();
  await upstreamFreed();
});

for (const [status, kind] of [
  [400, Anthropic.BadRequestError],
  [401, Anthropic.AuthenticationError],
  [404, Anthropic.NotFoundError],
  [429, Anthropic.RateLimitError],
  [500, Anthropic.InternalServerError],
  [529, Anthropic.InternalServerError],
]) {
  test(`status ${status}`, async () => {
    await assert.rejects(client.messages.create(ask, mocked({ status })), (err) => {
      assert.ok(err instanceof kind, `${err.constructor.name}: ${err.message}`);
      assert.equal(err.status, status);
      return true;
    });
  });
}

test('an error event of the provider', async () => {
  await assert.rejects(client.messages.stream(ask, mocked({ 'error-event': 4 })).finalMessage(), Anthropic.APIError);
});

for (const [name, script] of [['cut', { cut: 4 }], ['cut by a reset', { reset: 4 }], ['stalled', { stall: 4 }]]) {
  test(`a stream that is ${name} raises an error`, async () => {
    await assert.rejects(client.messages.stream(ask, mocked(script)).finalMessage());
    const stream = await client.messages.create({ ...ask, stream: true }, mocked(script));
    await assert.rejects(async () => {
      for await (const event of stream) void event;
    });
    await upstreamFreed();
  });
}

// The same client on a provider of OpenAI's chat protocol.
test('converted, plain', async () => {
  const answer = await converted.messages.create({ ...ask, system: 'Be brief.' });
  assert.equal(answer.type, 'message');
  assert.equal(answer.content[0].text, '1+1 equals 2.');
  assert.equal(answer.stop_reason, 'end_turn');
  assert.ok(answer.usage.input_tokens > 0 && answer.usage.output_tokens > 0);
  const seen = await lastRequest();
  assert.equal(seen.path, '/v1/chat/completions');
  assert.equal(seen.headers.authorization, 'Bearer sk-up', 'the key of the route is the only one');
  for (const name of ['x-api-key', 'anthropic-version', 'x-stainless-lang']) {
    assert.equal(seen.headers[name], undefined, name);
  }
  assert.equal(seen.json.messages[0].role, 'system');
});

test('converted, stream', async () => {
  for (const script of [{}, { split: 1 }, { split: 'random' }, { crlf: 1 }, { 'chunk-size': 3 }]) {
    const stream = converted.messages.stream(ask, mocked(script));
    let text = '';
    stream.on('text', (t) => (text += t));
    const answer = await stream.finalMessage();
    assert.equal(text, '1+1 equals 2.', JSON.stringify(script));
    assert.equal(answer.content[0].text, text);
    assert.equal(answer.stop_reason, 'end_turn');
    assert.equal(answer.usage.output_tokens, 3);
  }
});

test('converted, stream without a report of usage', async () => {
  const answer = await converted.messages.stream(ask, mocked({ 'no-usage': 1 })).finalMessage();
  assert.equal(answer.content[0].text, '1+1 equals 2.');
  assert.equal(answer.usage.output_tokens, 0);
});

test('converted, tools', async () => {
  for (const name of ['get_weather', 'weather.get']) {
    const offer = { ...ask, tools: [{ name, input_schema: weather }], tool_choice: { type: 'tool', name } };
    for (const answer of [await converted.messages.create(offer), await converted.messages.stream(offer).finalMessage()]) {
      const call = answer.content.find((c) => c.type === 'tool_use');
      assert.equal(answer.stop_reason, 'tool_use');
      assert.equal(call.name, name);
      assert.equal(typeof call.input.city, 'string');
      await converted.messages.create({
        ...offer,
        messages: [
          ...ask.messages,
          { role: 'assistant', content: answer.content },
          { role: 'user', content: [{ type: 'tool_result', tool_use_id: call.id, content: 'rain' }] },
        ],
      });
      const sent = (await lastRequest()).json.messages;
      assert.deepEqual(sent[2], { role: 'tool', tool_call_id: call.id, content: 'rain' });
      assert.deepEqual(JSON.parse(sent[1].tool_calls[0].function.arguments), call.input);
    }
  }
});

for (const [status, kind] of [[400, Anthropic.BadRequestError], [429, Anthropic.RateLimitError], [500, Anthropic.InternalServerError]]) {
  test(`converted, status ${status}`, async () => {
    await assert.rejects(converted.messages.create(ask, mocked({ status })), (err) => err instanceof kind && err.status === status);
  });
}

for (const [name, script] of [['cut', { cut: 4 }], ['stalled', { stall: 4 }], ['ended by an error event', { 'error-event': 4 }]]) {
  test(`a converted stream that is ${name} raises an error`, async () => {
    await assert.rejects(converted.messages.stream(ask, mocked(script)).finalMessage());
    await upstreamFreed();
  });
}
