// npm's openai with its Responses API against the gateway, on a provider that
// speaks only chat completions.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import OpenAI from 'openai';
import { gateway, lastRequest, mocked, upstreamFreed, weather } from './lib.mjs';

const client = new OpenAI({ apiKey: 'client-key', baseURL: gateway + '/responses-on-chat/v1', maxRetries: 0, timeout: 10_000 });
const ask = { model: 'm', input: 'What is 1+1?' };
const tools = [{ type: 'function', name: 'get_weather', parameters: { ...weather, additionalProperties: false }, strict: true }];

test('plain', async () => {
  const answer = await client.responses.create({ ...ask, instructions: 'Be brief.' });
  assert.equal(answer.output_text, '1+1 equals 2.');
  assert.equal(answer.object, 'response');
  assert.equal(answer.status, 'completed');
  assert.equal(answer.instructions, 'Be brief.');
  assert.equal(answer.store, false);
  assert.equal(answer.usage.total_tokens, answer.usage.input_tokens + answer.usage.output_tokens);
  assert.ok(answer.usage.output_tokens > 0);
  const seen = await lastRequest();
  assert.equal(seen.path, '/chat/completions');
  assert.equal(seen.headers.authorization, 'Bearer sk-up', 'the key of the route replaces that of the client');
  assert.equal(seen.json.messages[0].role, 'system');
});

test('streamed, event by event', async () => {
  const stream = await client.responses.create({ ...ask, stream: true });
  const seen = [];
  let text = '';
  for await (const event of stream) {
    assert.equal(event.sequence_number, seen.length);
    seen.push(event.type);
    if (event.type === 'response.output_text.delta') text += event.delta;
    if (event.type === 'response.completed') assert.equal(event.response.output[0].content[0].text, text);
  }
  assert.equal(text, '1+1 equals 2.');
  assert.deepEqual(
    seen.filter((type, i) => type !== seen[i - 1]),
    [
      'response.created',
      'response.in_progress',
      'response.output_item.added',
      'response.content_part.added',
      'response.output_text.delta',
      'response.output_text.done',
      'response.content_part.done',
      'response.output_item.done',
      'response.completed',
    ],
  );
});

test('stream in any pieces', async () => {
  for (const script of [{}, { split: 1 }, { split: 'random' }, { crlf: 1 }, { comments: 2 }, { 'chunk-size': 3 }, { 'no-done': 1 }]) {
    const stream = client.responses.stream(ask, mocked(script));
    let snapshot = '';
    stream.on('response.output_text.delta', (event) => (snapshot = event.snapshot));
    const answer = await stream.finalResponse();
    assert.equal(answer.output_text, '1+1 equals 2.', JSON.stringify(script));
    assert.equal(snapshot, answer.output_text);
    assert.equal(answer.status, 'completed');
    assert.equal(answer.usage.total_tokens, 6);
  }
});

test('tools there and back', async () => {
  for (const name of ['get_weather', 'weather.get']) {
    const offer = { ...ask, tools: [{ ...tools[0], name }], tool_choice: { type: 'function', name } };
    const plain = await client.responses.create(offer);
    const streamed = await client.responses.stream(offer).finalResponse();
    for (const answer of [plain, streamed]) {
      const call = answer.output.find((item) => item.type === 'function_call');
      assert.equal(call.name, name);
      assert.equal(typeof JSON.parse(call.arguments).city, 'string');
      const last = await client.responses.create({
        ...offer,
        tool_choice: 'auto',
        input: [
          { role: 'user', content: 'Weather?' },
          ...answer.output.map(({ parsed_arguments, ...item }) => item),
          { type: 'function_call_output', call_id: call.call_id, output: 'rain' },
        ],
      });
      assert.equal(last.status, 'completed');
      const sent = (await lastRequest()).json.messages;
      assert.deepEqual(sent.map((m) => m.role), ['user', 'assistant', 'tool']);
      assert.equal(sent[1].tool_calls[0].id, call.call_id);
      assert.equal(sent[1].tool_calls[0].function.arguments, call.arguments);
      assert.deepEqual(sent[2], { role: 'tool', tool_call_id: call.call_id, content: 'rain' });
    }
  }
});

test('structured output', async () => {
  const format = {
    type: 'json_schema',
    name: 'person',
    strict: true,
    schema: { type: 'object', properties: { name: { type: 'string' } }, required: ['name'], additionalProperties: false },
  };
  const body = JSON.stringify({
    id: 'chatcmpl-1',
    model: 'm',
    choices: [{ index: 0, message: { role: 'assistant', content: '{"name":"Ada"}' }, finish_reason: 'stop' }],
  });
  const answer = await client.responses.parse({ ...ask, text: { format } }, mocked({ body, 'content-type': 'application/json' }));
  assert.deepEqual(JSON.parse(answer.output_text), { name: 'Ada' });
  assert.deepEqual(answer.text.format, format, 'the response repeats the format');
  const { type, ...rest } = format;
  assert.deepEqual((await lastRequest()).json.response_format, { type, json_schema: rest });
});

test('a conversation without state', async () => {
  const first = await client.responses.create({ ...ask, include: ['reasoning.encrypted_content'], store: false });
  await client.responses.create({ model: 'm', input: [{ role: 'user', content: 'Hi' }, ...first.output, { role: 'user', content: 'Again.' }] });
  assert.deepEqual(
    (await lastRequest()).json.messages.map((m) => [m.role, m.content]),
    [['user', 'Hi'], ['assistant', '1+1 equals 2.'], ['user', 'Again.']],
  );
  await assert.rejects(client.responses.create({ ...ask, previous_response_id: first.id }), (err) => {
    assert.ok(err instanceof OpenAI.BadRequestError);
    assert.match(err.message, /previous_response_id is not supported/);
    return true;
  });
});

test('a tool that OpenAI runs itself', async () => {
  await assert.rejects(client.responses.create({ ...ask, tools: [{ type: 'web_search' }] }), /web_search/);
});

for (const [status, kind] of [
  [400, OpenAI.BadRequestError],
  [401, OpenAI.AuthenticationError],
  [404, OpenAI.NotFoundError],
  [429, OpenAI.RateLimitError],
  [500, OpenAI.InternalServerError],
]) {
  for (const stream of [false, true]) {
    test(`status ${status}${stream ? ', streamed' : ''}`, async () => {
      await assert.rejects(client.responses.create({ ...ask, stream }, mocked({ status })), (err) => {
        assert.ok(err instanceof kind, `${err.constructor.name}: ${err.message}`);
        assert.equal(err.status, status);
        assert.match(err.message, /the mock was told to answer/);
        return true;
      });
    });
  }
}

test('an error event of the provider is a failed response', async () => {
  const answer = await client.responses.stream(ask, mocked({ 'error-event': 4 })).finalResponse();
  assert.equal(answer.status, 'failed');
  assert.ok(answer.error.code && answer.error.message);
});

for (const [name, script] of [['cut', { cut: 4 }], ['cut by a reset', { reset: 4 }], ['stalled', { stall: 4 }]]) {
  test(`a stream that is ${name} raises an error`, async () => {
    await assert.rejects(client.responses.stream(ask, mocked(script)).finalResponse());
    const stream = await client.responses.create({ ...ask, stream: true }, mocked(script));
    let last;
    await assert.rejects(async () => {
      for await (const event of stream) last = event;
    });
    assert.equal(last.type, 'error');
    await upstreamFreed();
  });
}

test('abort in the middle of a stream', async () => {
  const stream = await client.responses.create({ ...ask, stream: true }, mocked({ tokens: 10000, gap: '20ms' }));
  for await (const event of stream) {
    if (event.type === 'response.output_text.delta') break;
  }
  await upstreamFreed();
});
