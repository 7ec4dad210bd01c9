// Shared by the tests of the official clients. The gateway and the mock
// provider behind it are started by sdk_test.go, which hands over where they are.
import assert from 'node:assert/strict';

export const gateway = process.env.GATEWAY;
const mock = process.env.MOCK_URL;

async function get(path) {
  const res = await fetch(mock + path, { headers: { connection: 'close' } });
  return res.json();
}

/** The latest request that the provider got. */
export async function lastRequest() {
  return (await get('/mock/last?n=1'))[0];
}

/** Fails unless every exchange with the provider has ended within a second. */
export async function upstreamFreed() {
  const deadline = Date.now() + 1000;
  for (;;) {
    const open = (await get('/mock/stats')).requests.open;
    if (open === 0) return;
    assert.ok(Date.now() < deadline, `${open} requests are still open at the provider after a second`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** What the chunks of a chat completion come to. */
export async function readChunks(stream) {
  const seen = { text: '', usage: null, finish: null };
  for await (const chunk of stream) {
    seen.text += chunk.choices[0]?.delta?.content ?? '';
    seen.finish = chunk.choices[0]?.finish_reason ?? seen.finish;
    seen.usage = chunk.usage ?? seen.usage;
  }
  return seen;
}

/** Headers that tell the mock how to behave. */
export const mocked = (script) => ({
  headers: Object.fromEntries(Object.entries(script).map(([k, v]) => ['x-mock-' + k, String(v)])),
});

export const weather = {
  type: 'object',
  properties: { city: { type: 'string' } },
  required: ['city'],
};
