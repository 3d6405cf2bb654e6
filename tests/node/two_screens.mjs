// Two screens made of examples/client.ts edit one task while their answers are lost, one of them is offline and loaded
// anew, and the server is killed. In the end both and the server must hold the same, each edit once and none lost.
//
//   node two_screens.mjs '{"url", "project", "task", "manager", "people": [{"token", "session"} × 2]}'
//
// Prints "kill" to have the server killed and another one started, and reads that one's URL. Exits 1 with a trace of what
// was sent, answered and heard when anything is wrong; prints "done" and numbers when nothing is.

import assert from 'node:assert/strict';
import { webcrypto } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import ts from 'typescript';
import { WebSocket } from 'ws';

// What browsers have and older versions of Node.js lack.
globalThis.crypto ??= webcrypto;
globalThis.WebSocket ??= WebSocket;

const here = new URL('.', import.meta.url);
const scene = JSON.parse(process.argv[2]);
const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const NOWHERE = 'http://127.0.0.1:9';
const DEADLINE_MS = 60_000;
const BOXES = 4;
const KILLS = 3;

const begun = Date.now();
const trace = [];
const note = (who, what, more) =>
  trace.push(
    `${String(Date.now() - begun).padStart(6)} ${who.padEnd(6)} ${what} ${more === undefined ? '' : JSON.stringify(more)}`,
  );

// ---- what a screen runs on

// The types are checked as strictly as they can be, and then removed. Its pauses are a tenth as long.
async function client() {
  const { config } = ts.readConfigFile(new URL('tsconfig.json', here).pathname, ts.sys.readFile);
  const { options, fileNames } = ts.parseJsonConfigFileContent(config, ts.sys, here.pathname);
  const program = ts.createProgram(fileNames, options);
  const faults = ts.getPreEmitDiagnostics(program);
  assert.equal(
    ts.formatDiagnostics(faults, {
      getCanonicalFileName: (name) => name,
      getCurrentDirectory: () => here.pathname,
      getNewLine: () => '\n',
    }),
    '',
  );
  const { outputText } = ts.transpileModule(readFileSync(fileNames[0], 'utf8'), {
    compilerOptions: { ...options, noEmit: false },
  });
  const hasty = `const setTimeout = (then, ms) => globalThis.setTimeout(then, ms / 10);\n${outputText}`;
  return import(`data:text/javascript;base64,${Buffer.from(hasty).toString('base64')}`);
}
const { LabelingClient } = await client();

const [, ids] = readFileSync(new URL('../../docs/api.md', here), 'utf8').match(/```ts\n(function annotationId[\s\S]*?)```/);
const annotationId = new Function(`${ids}; return annotationId`)();

// What happens to saves on their way, by token: how many answers get lost (the server has done them), and what holds up
// requests or answers.
const lossy = new Map();
const held = new Map();
let [lost, silences] = [0, 0];
const realFetch = globalThis.fetch;
globalThis.fetch = async (url, init) => {
  if (!init.body.includes('saveAnnotations')) return realFetch(url, init);
  const token = init.headers.Authorization.slice('Bearer '.length);
  await held.get(token)?.request;
  const response = await realFetch(url, init).catch((error) => {
    if (!url.startsWith(NOWHERE)) silences += 1;
    throw error;
  });
  await held.get(token)?.answer;
  if (!(lossy.get(token) > 0)) return response;
  await response.text();
  lossy.set(token, lossy.get(token) - 1);
  lost += 1;
  throw new TypeError('the answer was lost');
};

/** Holds up a person's requests or answers until what it gives is called. */
function hold(token, what) {
  let release;
  held.set(token, {
    ...held.get(token),
    [what]: new Promise((resolve) => {
      release = resolve;
    }),
  });
  return release;
}

class Screen {
  constructor(name, person) {
    Object.assign(this, { name, token: person.token, store: '[]', told: [], heard: [], made: [], isOnline: true });
    this.open(person.session);
  }

  /** A new page over the same store. */
  open(session) {
    this.session = session;
    const screen = this;
    this.client = new LabelingClient(
      session,
      (this.options = {
        get url() {
          return screen.isOnline ? scene.url : NOWHERE;
        },
        token: this.token,
        projectId: scene.project,
        taskId: scene.task,
        slot: 1,
        store: {
          load: () => JSON.parse(this.store),
          save: (queues) => {
            this.store = JSON.stringify(queues);
          },
        },
        changed() {},
        told: (result, edit) => {
          note(this.name, 'told', { edit, result });
          this.told.push({ ...result, edit });
        },
        happened: (event) => {
          note(this.name, 'heard', {
            type: event.type,
            id: event.annotation?.id,
            revision: event.annotation?.revision,
            vector: event.annotation?.versionVector,
          });
          this.heard.push(event);
        },
        failed: (failure) => {
          note(this.name, 'failed', `${failure.code} ${failure.message}`);
          this.failure = failure;
        },
      }),
    );
    note(this.name, 'opens', session);
  }

  edit(kind, id, change = {}) {
    this.client.edit(kind, { id, ...change });
    const edit = JSON.parse(this.store).at(-1)?.edits.at(-1);
    note(this.name, 'edits', edit);
    this.made.push({ actor: this.session.actor, id, kind, ...change });
  }

  /** The network is gone, and what was on it. */
  unplug() {
    this.isOnline = false;
    this.client.socket?.close();
    note(this.name, 'is offline');
  }

  plug() {
    this.isOnline = true;
    note(this.name, 'is online');
    void this.client.flush();
  }

  async resolve(id, conflict, choice, merged) {
    await this.client.resolve(id, conflict.id, choice, merged);
    this.made.push({ actor: 'server', id });
  }

  /** Whether an event has told of an annotation in such a state. */
  hasHeard(id, holds) {
    return this.heard.some(({ annotation }) => annotation?.id === id && holds(annotation));
  }

  see(id) {
    return this.client.view().get(id);
  }
}

// ---- the rest of the world

async function ask(token, query, variables) {
  const headers = { 'Content-Type': 'application/json', Authorization: `Bearer ${token}` };
  const answer = await (
    await realFetch(`${scene.url}/graphql`, { method: 'POST', headers, body: JSON.stringify({ query, variables }) })
  ).json();
  assert.equal(answer.errors, undefined, JSON.stringify(answer.errors));
  return answer.data;
}

async function until(what, holds) {
  for (const since = Date.now(); !(await holds()); await new Promise((resolve) => setTimeout(resolve, 20))) {
    assert.ok(Date.now() - since < DEADLINE_MS, `waited in vain for ${what}`);
  }
}

async function kill() {
  console.log('kill');
  scene.url = (await lines.next()).value;
  note('server', 'was killed, the next one is at', scene.url);
}

async function open(token) {
  const session = 'session { id fence actor }';
  const { claimTask } = await ask(token, `mutation($input: ClaimTaskInput!) { claimTask(input: $input) { ${session} } }`, {
    input: { projectId: scene.project, taskId: scene.task },
  });
  if (claimTask.session) return claimTask.session;
  return (
    await ask(token, `mutation($input: JoinTaskInput!) { joinTask(input: $input) { ${session} } }`, {
      input: { taskId: scene.task },
    })
  ).joinTask.session;
}

const CONTENT = '{ label attributes deleted geometry { ... on BoundingBox { x y width height rotation } } }';
async function truth() {
  const { task } = await ask(
    scene.manager,
    `query($id: ID!) { task(id: $id) { annotations(first: 1000, includeDeleted: true) { nodes {
    id revision versionVector label attributes deleted geometry { ... on BoundingBox { x y width height rotation } }
    openConflicts { id cause fields current ${CONTENT} incoming ${CONTENT} }
    revisions(first: 1) { totalCount } } } } }`,
    { id: scene.task },
  );
  return new Map(task.annotations.nodes.map((node) => [node.id, node]));
}

const box = (x) => ({ boundingBox: { x, y: 10, width: 20, height: 20, rotation: 0 } });
const visible = ({ label, attributes, deleted, geometry, revision, versionVector, openConflicts }) => ({
  label,
  attributes,
  deleted,
  revision,
  versionVector,
  geometry: geometry.boundingBox ?? geometry,
  openConflicts: openConflicts.map(({ id, cause, fields }) => ({ id, cause, fields })),
});

/** Nothing waits, and all see the same. */
async function settled(screens) {
  await until('all edits to be answered', () => screens.every(({ client }) => client.waiting === 0));
  const now = await truth();
  const want = Object.fromEntries([...now].sort().map(([id, node]) => [id, visible(node)]));
  for (const screen of screens) {
    const seen = () => Object.fromEntries([...screen.client.view()].sort().map(([id, node]) => [id, visible(node)]));
    await until(
      `${screen.name} to see what the server holds`,
      () => JSON.stringify(sorted(seen())) === JSON.stringify(sorted(want)),
    ).catch(() => assert.deepEqual(seen(), want));
  }
  return now;
}

const sorted = (value) =>
  value && typeof value === 'object' && !Array.isArray(value)
    ? Object.fromEntries(
        Object.entries(value)
          .sort(([a], [b]) => (a < b ? -1 : 1))
          .map(([key, below]) => [key, sorted(below)]),
      )
    : Array.isArray(value)
      ? value.map(sorted)
      : value;

/** The one conflict of an annotation. */
function only(now, id) {
  const conflicts = now.get(id).openConflicts;
  assert.equal(conflicts.length, 1, `one conflict of ${id}: ${JSON.stringify(conflicts)}`);
  return conflicts[0];
}

/** Every edit has made one revision, under its author's number. */
function assertEachOnce(now, screens) {
  for (const [id, node] of now) {
    const made = {};
    for (const edit of screens.flatMap((screen) => screen.made))
      if (edit.id === id && !edit.isRejected) made[edit.actor] = (made[edit.actor] ?? 0) + 1;
    const { '#': epoch, ...counters } = node.versionVector;
    assert.equal(epoch, 1);
    assert.deepEqual(sorted(counters), sorted(made), `the vector of ${id} counts the edits`);
    const count = Object.values(made).reduce((sum, n) => sum + n, 0);
    assert.deepEqual([node.revision, node.revisions.totalCount], [count, count], `revisions of ${id}`);
  }
}

// ---- what happens

const numbers = {};
async function main() {
  const [ana, ben] = scene.people.map((person, n) => new Screen(['ana', 'ben'][n], person));
  const both = [ana, ben];

  // Both work on the same boxes at the same time: ana moves them, ben names them. Answers are lost, servers are killed.
  const ids = Array.from({ length: BOXES }, annotationId);
  ids.forEach((id, n) => ana.edit('create', id, { tool: 'Boxes', label: 'cell', geometry: box(n) }));
  assert.equal(ana.see(ids[0]).label, 'cell', 'what was made is seen at once');
  await until('ben to see the boxes', () => ids.every((id) => ben.see(id)));
  for (let round = 1; round <= 2 * KILLS; round++) {
    for (const [n, id] of ids.entries()) {
      ana.edit('update', id, { geometry: box(100 * round + n) });
      ben.edit('update', id, { label: round % 2 ? 'dust' : 'cell', attributes: { size: round } });
      assert.equal(ana.see(id).geometry.boundingBox.x, 100 * round + n, 'one sees what one does');
      assert.equal(ben.see(id).attributes.size, round);
    }
    if (round % 2) both.forEach(({ token }) => lossy.set(token, 1));
    else await kill();
    // The one goes on while the other has answers outstanding, and the other way round.
    await until('somebody to be answered', () => both.some(({ client }) => client.waiting === 0));
  }
  let now = await settled(both);
  for (const [n, id] of ids.entries()) {
    const { geometry, label, attributes, openConflicts } = now.get(id);
    assert.deepEqual(
      [geometry.x, label, attributes, openConflicts],
      [200 * KILLS + n, 'cell', { size: 2 * KILLS }, []],
      'both sides are merged',
    );
  }
  assertEachOnce(now, both);
  assert.ok(lost >= 2 && silences > 0, `answers were lost: ${lost}, kills hit somebody: ${silences}`);
  numbers.merged = both.flatMap(({ told }) => told).filter(({ outcome }) => outcome === 'MERGED').length;
  assert.ok(numbers.merged > 0, 'something was merged');

  // While ana's edit is on its way ben names the same boxes. Her next edit does not count as having seen that; and once an
  // event tells what became of the first one it is not laid over the state any more, though its answer is outstanding.
  const [first, second] = [annotationId(), annotationId()];
  for (const id of [first, second]) ana.edit('create', id, { tool: 'Boxes', label: 'cell', geometry: box(50) });
  await settled(both);
  for (const [id, next] of [
    [first, { label: 'cell' }],
    [second, undefined],
  ]) {
    const release = hold(ana.token, 'request');
    ana.edit('update', id, { label: 'dust' });
    ben.edit('update', id, { label: 'dirt' });
    await until('ana to hear of ben', () => ana.hasHeard(id, ({ label }) => label === 'dirt'));
    assert.equal(ana.see(id).label, 'dust', 'her own edit is on top');
    if (next) ana.edit('update', id, next);
    const answer = hold(ana.token, 'answer');
    release();
    await until('ana to hear of herself', () =>
      ana.hasHeard(id, ({ versionVector }) => versionVector[ana.session.actor] === 2),
    );
    assert.equal(ana.see(id).label, next ? 'cell' : 'dirt', 'what an event has told is not hidden');
    answer();
    now = await settled(both);
    const conflict = only(now, id);
    assert.deepEqual(
      [now.get(id).label, conflict.incoming.label, conflict.cause],
      ['dirt', next ? 'cell' : 'dust', 'CONCURRENT'],
    );
    await ben.resolve(id, conflict, 'CURRENT');
  }
  assertEachOnce(await settled(both), both);

  // ben is offline; ana goes on in the same places.
  const [moved, named, gone, untouched] = ids;
  const made = annotationId();
  ben.unplug();
  for (const x of [1, 2, 3]) ben.edit('update', moved, { geometry: box(x) });
  ben.edit('update', named, { label: 'dust' });
  ben.edit('delete', gone);
  ben.edit('update', untouched, { label: 'dust' });
  ben.edit('create', made, { tool: 'Boxes', label: 'dust', geometry: box(5) });
  ana.edit('update', moved, { geometry: box(300) });
  ana.edit('update', named, { label: 'cell', geometry: box(301) });
  ana.edit('update', named, { label: 'dust' });
  ana.edit('update', named, { label: 'cell' });
  ana.edit('update', gone, { geometry: box(302) });
  ana.edit('update', untouched, { geometry: box(303) });
  await settled([ana]);
  assert.deepEqual(
    [ben.see(moved).geometry.boundingBox.x, ben.see(gone).deleted, ben.see(made).label],
    [3, true, 'dust'],
    'offline one sees what one does',
  );

  // The page is closed and opened again; a first answer is lost, then the server is killed before another is there.
  ben.client.stop();
  const earlier = ben.session;
  ben.isOnline = true;
  lossy.set(ben.token, 1);
  const lostBefore = lost;
  ben.open(await open(ben.token));
  assert.notEqual(ben.session.actor, earlier.actor);
  assert.equal(ben.client.waiting, 7, 'the queue is there again');
  await until('the answer to be lost', () => lost > lostBefore);
  await kill();
  const late = annotationId();
  ben.edit('create', late, { tool: 'Boxes', label: 'cell', geometry: box(6) });
  now = await settled(both);
  assertEachOnce(now, both);
  const [ofMove, ofName, ofDeletion] = [only(now, moved), only(now, named), only(now, gone)];
  assert.deepEqual(
    [now.get(moved).geometry.x, ofMove.incoming.geometry.x, ofMove.cause, ofMove.fields],
    [300, 3, 'CONCURRENT', ['geometry']],
    'three drags are one sibling',
  );
  assert.deepEqual(
    [now.get(named).label, ofName.incoming.label, ofName.cause, ofName.fields],
    ['cell', 'dust', 'CONCURRENT', ['label']],
  );
  assert.deepEqual(
    [now.get(gone).deleted, now.get(gone).geometry.x, ofDeletion.incoming.deleted, ofDeletion.cause],
    [false, 302, true, 'DELETED'],
  );
  assert.deepEqual(
    [now.get(untouched).geometry.x, now.get(untouched).label, now.get(untouched).openConflicts],
    [303, 'dust', []],
    'the rest is merged',
  );
  assert.deepEqual([now.get(made).label, now.get(late).label], ['dust', 'cell'], 'both sessions of ben were heard');
  numbers.conflicts = ben.told.filter(({ outcome }) => outcome === 'CONFLICT').length;
  assert.equal(numbers.conflicts, 5, 'ben was told of each edit in conflict');

  // They decide.
  await ben.resolve(moved, ofMove, 'INCOMING');
  await ana.resolve(named, ofName, 'MERGED', { label: 'dust' });
  await ana.resolve(gone, ofDeletion, 'CURRENT');
  now = await settled(both);
  assertEachOnce(now, both);
  assert.deepEqual([now.get(moved).geometry.x, now.get(named).label, now.get(gone).deleted], [3, 'dust', false]);
  assert.ok([...now.values()].every(({ openConflicts }) => openConflicts.length === 0));

  // What the server refuses is taken back.
  ana.edit('update', moved, { label: 'nothing of the template' });
  ana.made.at(-1).isRejected = true;
  await until('ana to be told', () => ana.told.some(({ code }) => code === 'BAD_USER_INPUT'));
  assert.equal(ana.see(moved).label, 'cell');

  // The lease is taken away while ana draws: the edit is kept as a late one, and she goes on in the next session.
  await ask(scene.manager, 'mutation($input: RevokeLeaseInput!) { revokeLease(input: $input) { task { state } } }', {
    input: { taskId: scene.task, slot: 1, reason: 'a test' },
  });
  ana.edit('update', moved, { geometry: box(400) });
  await until('ana to be told', () => ana.told.some(({ conflict }) => conflict?.cause === 'LATE'));
  ana.session = await open(ana.token);
  ana.client.use(ana.session);
  ana.edit('update', moved, { label: 'dust' });
  now = await settled(both);
  assertEachOnce(now, both);
  assert.deepEqual(
    [now.get(moved).geometry.x, now.get(moved).label, only(now, moved).cause, only(now, moved).incoming.geometry.x],
    [3, 'dust', 'LATE', 400],
  );
  assert.deepEqual([ana.failure, ben.failure], [undefined, undefined], 'nothing failed for good');
}

try {
  await main();
  console.log(
    `done ${JSON.stringify({ ...numbers, lost, silences, edits: trace.filter((line) => line.includes(' edits ')).length })}`,
  );
  process.exit(0);
} catch (error) {
  console.error(`${trace.join('\n')}\n\n${error.stack}`);
  process.exit(1);
}
