import { expect, test } from 'vitest';
import { scrubError, scrubText } from '../../../proxy/observe/scrub.js';

test.each([
  ['Authorization: Bearer abc.def-123', 'Authorization: Bearer [redacted]'],
  ['connect with token=s3cr3t failed', 'connect with token=[redacted] failed'],
  ['COPILOT_CONNECTION_TOKEN=s3cr3t', 'COPILOT_CONNECTION_TOKEN=[redacted]'],
  ['{"apiKey":"s3cr3t","model":"gpt"}', '{"apiKey":[redacted],"model":"gpt"}'],
  ['{"prompt": "tell me \\"all\\" of it", "n": 1}', '{"prompt": [redacted], "n": 1}'],
  ['{"prompt":"cut in the mid', '{"prompt":[redacted]'],
  ['password: hunter2', 'password: [redacted]'],
  ['used ghp_0123456789abcdef', 'used [redacted]'],
  ['redis://user:s3cr3t@10.0.0.1:6379', 'redis://[redacted]@10.0.0.1:6379'],
])('%s', (text, scrubbed) => {
  expect(scrubText(text)).toBe(scrubbed);
});

test.each([
  'CLI server listening on port 40123',
  'connect ECONNREFUSED 127.0.0.1:4321',
  'max_tokens: 100 tokens_file: ./tokens.yaml',
  'Session not found for sessionId: user-alice-1',
])('%s stays as it is', (text) => {
  expect(scrubText(text)).toBe(text);
});

test('a long text is cut', () => {
  expect(scrubText('x'.repeat(5000))).toHaveLength(2001);
});

test('what is thrown without being an Error is told by its type', () => {
  expect(scrubError('token=abc')).toEqual({ type: 'string', message: 'token=[redacted]' });
});
