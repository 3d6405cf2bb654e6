// Runs the GraphQL-over-HTTP audits of graphql-http against a running server.
//
//   node audit.mjs http://127.0.0.1:8080/graphql
//
// CONCORD_TOKEN, when set, goes along as bearer token. Prints one JSON line per audit
// ({id, name, status, reason?}; status: ok, notice, warn, error) and exits 1 unless all are ok;
// 2 when it could not run at all.

import { serverAudits } from 'graphql-http';

const [url] = process.argv.slice(2);
if (!url) {
  console.error('usage: node audit.mjs <url of the GraphQL endpoint>');
  process.exit(2);
}

const token = process.env.CONCORD_TOKEN;

function fetchFn(input, init = {}) {
  const headers = new Headers(init.headers);
  if (token) headers.set('authorization', `Bearer ${token}`);
  // A server that hangs is a failed run, not a hung test.
  return fetch(input, { ...init, headers, signal: AbortSignal.timeout(10_000) });
}

async function run({ id, name, fn }) {
  try {
    const { status, reason, response } = await fn();
    return { id, name, status, reason: response ? `${reason} (got ${response.status})` : reason };
  } catch (error) {
    // The package lets anything but a failed expectation through: no connection, no answer in time.
    return { id, name, status: 'error', reason: String(error.cause ?? error) };
  }
}

const results = [];
for (const audit of serverAudits({ url, fetchFn })) {
  const result = await run(audit);
  console.log(JSON.stringify(result));
  results.push(result);
}

process.exitCode = results.length > 0 && results.every(({ status }) => status === 'ok') ? 0 : 1;
