// npm's openai against the gateway.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import OpenAI from 'openai';
import { gateway, lastRequest, mocked, readChunks, upstreamFreed, weather } from './lib.mjs';

const client = new OpenAI({ apiKey: 'client-key', baseURL: gateway + '/v1', maxRetries: 0, timeout: 10_000 });
const messages = [{ role: 'user', content: 'What is 1+1?' }];
const ask = { model: 'm', messages };
const native = new OpenAI({ apiKey: 'client-key', baseURL: gateway + '/native', maxRetries: 0, timeout: 10_000 });
const tools = [{ type: 'function', function: { name: 'get_weather', parameters: weather } }];

test('plain', async () => {
  const answer = await client.chat.completions.create(ask);
  assert.equal(answer.choices[0].message.content, '1+1 equals 2.');
  assert.equal(answer.choices[0].finish_reason, 'stop');
  assert.equal(answer.usage.total_tokens, 6);
  const seen = await lastRequest();
  assert.equal(seen.headers.authorization, 'Bearer sk-up', 'the key of the route replaces that of the client');
  assert.equal(seen.path, '/v1/chat/completions');
});

test('stream with usage', async () => {
  const stream = await client.chat.completions.create({ ...ask, stream: true, stream_options: { include_usage: true } });
  const { text, usage, finish } = await readChunks(stream);
  assert.equal(text, '1+1 equals 2.');
  assert.equal(finish, 'stop');
  assert.deepEqual([usage.prompt_tokens, usage.completion_tokens, usage.total_tokens], [3, 3, 6]);
});

test('stream without asking for usage', async () => {
  const answer = await client.chat.completions.stream(ask).finalChatCompletion();
  assert.equal(answer.choices[0].message.content, '1+1 equals 2.');
});

test('stream in any pieces', async () => {
  for (const script of [{ split: 1 }, { split: 'random' }, { crlf: 1 }, { bom: 1 }, { comments: 2 }, { 'chunk-size': 3 }]) {
    const answer = await client.chat.completions.stream(ask, mocked(script)).finalChatCompletion();
    assert.equal(answer.choices[0].message.content, '1+1 equals 2.', JSON.stringify(script));
  }
});

test('the body ends with [DONE], though the provider lingers', async () => {
  const start = Date.now();
  const answer = await client.chat.completions.stream(ask, mocked({ linger: '8s' })).finalChatCompletion();
  assert.equal(answer.choices[0].finish_reason, 'stop');
  assert.ok(Date.now() - start < 4000, 'the client waited for the provider');
});

test('tools', async () => {
  const answer = await client.chat.completions.create({ ...ask, tools }, mocked({ tool: 'get_weather' }));
  const [call] = answer.choices[0].message.tool_calls;
  assert.equal(answer.choices[0].finish_reason, 'tool_calls');
  assert.equal(call.function.name, 'get_weather');
  assert.equal(typeof JSON.parse(call.function.arguments), 'object');
});

test('tools, streamed', async () => {
  const answer = await client.chat.completions
    .stream({ ...ask, tools }, mocked({ tool: 'get_weather' }))
    .finalChatCompletion();
  const [call] = answer.choices[0].message.tool_calls;
  assert.equal(call.function.name, 'get_weather');
  assert.equal(typeof JSON.parse(call.function.arguments), 'object');
});

test('embeddings', async () => {
  // The client asks for base64 by itself and decodes it.
  const answer = await client.embeddings.create({ model: 'e', input: ['a', 'b'], dimensions: 8 });
  assert.equal(answer.data.length, 2);
  assert.equal(answer.data[0].embedding.length, 8);
  assert.equal(typeof answer.data[0].embedding[0], 'number');
  const floats = await client.embeddings.create({ model: 'e', input: 'a', encoding_format: 'float' });
  assert.equal(typeof floats.data[0].embedding[0], 'number');
  assert.equal((await lastRequest()).path, '/v1/embeddings');
});

test('responses', async () => {
  const answer = await client.responses.create({ model: 'm', input: 'What is 1+1?' });
  assert.equal(answer.output_text, '1+1 equals 2.');
  assert.equal(answer.status, 'completed');
});

test('responses, streamed', async () => {
  const stream = await client.responses.create({ model: 'm', input: 'What is 1+1?', stream: true });
  let text = '';
  let completed = null;
  for await (const event of stream) {
    if (event.type === 'response.output_text.delta') text += event.delta;
    if (event.type === 'response.completed') completed = event.response;
  }
  assert.equal(text, '1+1 equals 2.');
  assert.ok(completed.usage.total_tokens > 0);
  assert.equal((await lastRequest()).json.stream_options, undefined);
});

test('abort in the middle of a stream', async () => {
  const stream = await client.chat.completions.create({ ...ask, stream: true }, mocked({ tokens: 10000, gap: '20ms' }));
  for await (const chunk of stream) {
    if (chunk.choices[0]?.delta?.content) break; // leaving the loop aborts
  }
  await upstreamFreed();
});

test('abort before the first byte', async () => {
  const control = new AbortController();
  const wait = client.chat.completions.create({ ...ask, stream: true }, { ...mocked({ hang: 1 }), signal: control.signal });
  setTimeout(() => control.abort(), 100);
  await assert.rejects(wait, OpenAI.APIUserAbortError);
  await upstreamFreed();
});

for (const [status, kind] of [
  [400, OpenAI.BadRequestError],
  [401, OpenAI.AuthenticationError],
  [403, OpenAI.PermissionDeniedError],
  [404, OpenAI.NotFoundError],
  [422, OpenAI.UnprocessableEntityError],
  [429, OpenAI.RateLimitError],
  [500, OpenAI.InternalServerError],
  [503, OpenAI.InternalServerError],
]) {
  for (const stream of [false, true]) {
    test(`status ${status}${stream ? ', streamed' : ''}`, async () => {
      await assert.rejects(client.chat.completions.create({ ...ask, stream }, mocked({ status })), (err) => {
        assert.ok(err instanceof kind, `${err.constructor.name}: ${err.message}`);
        assert.equal(err.status, status);
        assert.match(err.message, /the mock was told to answer/);
        return true;
      });
    });
  }
}

test('the provider does not answer', async () => {
  await assert.rejects(client.chat.completions.create(ask, mocked({ 'close-before-head': 1 })), OpenAI.InternalServerError);
});

for (const [name, script] of [
  ['cut', { cut: 3 }],
  ['cut by a reset', { reset: 3 }],
  ['cut, until-close body', { cut: 3, framing: 'close' }],
  ['stalled', { stall: 3 }],
]) {
  test(`a stream that is ${name} raises an error`, async () => {
    const stream = await client.chat.completions.create({ ...ask, stream: true }, mocked(script));
    let text = '';
    await assert.rejects(async () => {
      for await (const chunk of stream) text += chunk.choices[0]?.delta?.content ?? '';
    });
    assert.notEqual(text, '1+1 equals 2.');
    await upstreamFreed();
  });
}

test('the client retries by itself over the same connection', async () => {
  const twice = new OpenAI({ apiKey: 'k', baseURL: gateway + '/v1', maxRetries: 1, timeout: 10_000 });
  await assert.rejects(twice.chat.completions.create(ask, mocked({ status: 500 })), OpenAI.InternalServerError);
  assert.equal((await lastRequest()).headers['x-stainless-retry-count'], '1');
});

test('an unknown route', async () => {
  const lost = new OpenAI({ apiKey: 'k', baseURL: gateway + '/nowhere', maxRetries: 0 });
  await assert.rejects(lost.chat.completions.create(ask), OpenAI.NotFoundError);
});

// Against Anthropic's own API: every request and answer is converted.

test('native: plain', async () => {
  const answer = await native.chat.completions.create({ ...ask, max_completion_tokens: 50 });
  assert.equal(answer.object, 'chat.completion');
  assert.equal(answer.choices[0].message.content, '1+1 equals 2.');
  assert.equal(answer.choices[0].finish_reason, 'stop');
  assert.deepEqual([answer.usage.prompt_tokens, answer.usage.completion_tokens, answer.usage.total_tokens], [3, 3, 6]);
  const seen = await lastRequest();
  assert.equal(seen.path, '/v1/messages');
  assert.equal(seen.headers['x-api-key'], 'sk-up', 'the key of the route, in the way of Anthropic');
  assert.equal(seen.headers.authorization, undefined);
  assert.equal(seen.headers['anthropic-version'], '2023-06-01');
  assert.ok(!Object.keys(seen.headers).some((name) => name.startsWith('x-stainless-')));
  assert.equal(seen.json.max_tokens, 50);
});

test('native: stream with usage', async () => {
  const stream = await native.chat.completions.create({ ...ask, stream: true, stream_options: { include_usage: true } });
  const chunks = [];
  for await (const chunk of stream) chunks.push(chunk);
  assert.equal(chunks[0].choices[0].delta.role, 'assistant');
  assert.equal(chunks.map((c) => c.choices[0]?.delta?.content ?? '').join(''), '1+1 equals 2.');
  assert.equal(chunks.at(-2).choices[0].finish_reason, 'stop');
  const { choices, usage } = chunks.at(-1);
  assert.deepEqual([choices.length, usage.prompt_tokens, usage.completion_tokens, usage.total_tokens], [0, 3, 3, 6]);
  assert.equal(new Set(chunks.map((c) => c.id + c.created + c.model)).size, 1);
});

test('native: stream without asking for usage, in any pieces', async () => {
  for (const script of [{}, { split: 1 }, { split: 'random' }, { crlf: 1 }, { comments: 2 }, { 'no-done': 1 }]) {
    const answer = await native.chat.completions.stream(ask, mocked(script)).finalChatCompletion();
    assert.equal(answer.choices[0].message.content, '1+1 equals 2.', JSON.stringify(script));
    assert.equal(answer.usage, undefined);
  }
});

test('native: tools, and their results', async () => {
  const question = { ...ask, tools, tool_choice: 'required' };
  const answer = await native.chat.completions.create(question);
  const { message, finish_reason } = answer.choices[0];
  assert.equal(finish_reason, 'tool_calls');
  assert.equal(message.content, null);
  assert.equal(message.tool_calls[0].function.name, 'get_weather');
  assert.equal(typeof JSON.parse(message.tool_calls[0].function.arguments), 'object');
  const result = { role: 'tool', tool_call_id: message.tool_calls[0].id, content: 'rain' };
  const next = await native.chat.completions.create({ ...ask, tools, messages: [...messages, message, result] });
  assert.equal(next.choices[0].finish_reason, 'stop');
  const sent = (await lastRequest()).json.messages;
  assert.deepEqual(sent.map((m) => [m.role, m.content[0].type]), [['user', 'text'], ['assistant', 'tool_use'], ['user', 'tool_result']]);
  assert.equal(sent[2].content[0].tool_use_id, sent[1].content[0].id);
});

test('native: tools, streamed', async () => {
  const answer = await native.chat.completions
    .stream({ ...ask, tools, tool_choice: { type: 'function', function: { name: 'get_weather' } } })
    .finalChatCompletion();
  const [call] = answer.choices[0].message.tool_calls;
  assert.equal(answer.choices[0].finish_reason, 'tool_calls');
  assert.equal(call.function.name, 'get_weather');
  assert.deepEqual(Object.keys(JSON.parse(call.function.arguments)), ['city']);
});

for (const [status, kind] of [
  [400, OpenAI.BadRequestError],
  [401, OpenAI.AuthenticationError],
  [404, OpenAI.NotFoundError],
  [429, OpenAI.RateLimitError],
  [500, OpenAI.InternalServerError],
  [529, OpenAI.InternalServerError],
]) {
  for (const stream of [false, true]) {
    test(`native: status ${status}${stream ? ', streamed' : ''}`, async () => {
      await assert.rejects(native.chat.completions.create({ ...ask, stream }, mocked({ status })), (err) => {
        assert.ok(err instanceof kind, `${err.constructor.name}: ${err.message}`);
        assert.equal(err.status, status);
        assert.match(err.message, /the mock was told to answer/);
        assert.equal(typeof err.type, 'string');
        return true;
      });
    });
  }
}

test('native: what cannot be converted', async () => {
  await assert.rejects(native.chat.completions.create({ ...ask, n: 2 }), OpenAI.BadRequestError);
});

for (const [name, script] of [
  ['has an error in it', { 'error-event': 5 }],
  ['is cut', { cut: 5 }],
  ['is stalled', { stall: 5 }],
]) {
  test(`native: a stream that ${name} raises an error`, async () => {
    const stream = await native.chat.completions.create({ ...ask, stream: true }, mocked(script));
    await assert.rejects(async () => {
      for await (const chunk of stream) chunk.choices;
    });
    await upstreamFreed();
  });
}

test('native: abort in the middle of a stream', async () => {
  const stream = await native.chat.completions.create({ ...ask, stream: true }, mocked({ tokens: 10000, gap: '20ms' }));
  for await (const chunk of stream) {
    if (chunk.choices[0]?.delta?.content) break;
  }
  await upstreamFreed();
});
