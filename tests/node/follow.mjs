// Runs an example of examples/live as people copy it, and prints what it is told.
//
//   node follow.mjs '{"example", "url", "token", "project", "after", "haste"}'
//
// Prints a JSON object a line: {"event"}, {"reload"} or {"failed"}. Ends when it is told a line.

import { register } from 'node:module';
import { createInterface } from 'node:readline';
import { WebSocket } from 'ws';

const { example, url, token, project, after, haste } = JSON.parse(process.argv[2]);

// What browsers have and older versions of Node.js lack.
globalThis.WebSocket ??= WebSocket;

// Its pauses are shorter; and packages are those that are installed here.
const later = globalThis.setTimeout;
globalThis.setTimeout = (then, ms, ...more) => later(then, ms / haste, ...more);
const hooks = `export const resolve = (name, context, next) =>
  next(name, /^[./]|:/.test(name) || context.parentURL.includes('/node_modules/') ? context : { ...context, parentURL: ${JSON.stringify(import.meta.url)} });`;
register(`data:text/javascript,${encodeURIComponent(hooks)}`);
const { follow } = await import(new URL(`../../examples/live/${example}.mjs`, import.meta.url));

const say = (what) => console.log(JSON.stringify(what));
const stop = follow({
  url,
  token: () => token,
  projectId: project,
  after,
  show: (event) => say({ event }),
  reload: (reason) => say({ reload: reason }),
  failed: (why) => say({ failed: String(why?.message ?? JSON.stringify(why)) }),
});
const lines = createInterface({ input: process.stdin });
lines.on('line', () => {
  stop();
  process.stdin.destroy();
});
