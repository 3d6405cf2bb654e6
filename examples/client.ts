// A labeling screen's half of saving and merging, to be copied into yours. The rules behind it are in docs/merging.md.
//
// An edit shows at once and is sent in the background. What got no answer yet is in a store, survives a reload and is sent
// again as it was. What others do comes in as events and is shown below one's own edits. Claims, heartbeats and drawing are
// yours. It needs `fetch` and `WebSocket`, no package. Node.js 22.18 and later run it as it stands; for Node.js 20 remove the
// types (`tsc`) and give --experimental-websocket.

export type Vector = Record<string, number>;
export type Session = { id: string; fence: number; actor: string };
export type Conflict = { id: string; cause: string; fields: string[] };
export type Values = Record<string, unknown>;
export type Content = { tool: string; label: string; geometry: Values; attributes: Values };
export type Place = { id: string; slot?: number; revision: number; versionVector: Vector; deleted: boolean };
export type Annotation = Content & Place & { openConflicts: Conflict[] };
export type Kind = 'create' | 'update' | 'delete' | 'restore';
export type Change = Partial<Content> & { id: string; slot?: number; assetId?: string; base?: Vector };
export type Edit = Partial<Record<Kind, Change>>;
export type Why = { code: string | null; field: string | null; message: string | null };
export type Result = Why & { outcome: string; fields: string[]; annotation: Annotation | null; conflict: Conflict | null };
export type Queue = { session: Session; edits: Edit[] };

export type Options = {
  url: string; // the server's, such as https://label.example
  token?: string; // without one the cookie says who you are
  projectId: string;
  taskId: string;
  slot?: number; // the session's; none in a review of several slots
  // Such as localStorage, under a key of this tab's own; a new tab takes over what tabs that are gone (navigator.locks) left.
  store: { load(): Queue[]; save(queues: Queue[]): void };
  changed(): void; // draw view() again
  // MERGED: mark `fields`. REJECTED: say why. CONFLICT: offer resolve(); with cause LATE claim again, then use(). Any other
  // outcome is newer than this file: show the annotation, and the message.
  told(result: Result, edit: Edit): void;
  happened(event: { type: string }): void; // any event of the task: a lease that was revoked, a verdict
  failed(failure: Failure): void; // nothing is sent by itself any more: sign in, end the pause, … then flush()
};

export class Failure extends Error {
  code: string;
  isPassing: boolean; // the same request may succeed later
  constructor(code: string, message: string, isPassing: boolean) {
    super(message);
    [this.code, this.isPassing] = [code, isPassing];
  }
}

// Add the kinds of geometry that you draw.
const STATE = `fragment State on Annotation {
  id slot revision deleted versionVector tool label attributes openConflicts { id cause fields }
  geometry { __typename ... on BoundingBox { x y width height rotation } ... on TextSpan { start end text } } }`;
const SAVE = `mutation($input: SaveAnnotationsInput!) { saveAnnotations(input: $input) { results {
  outcome fields code field message annotation { ...State } conflict { id cause fields } } } } ${STATE}`;
const RESOLVE = `mutation($input: ResolveConflictInput!) {
  resolveConflict(input: $input) { annotation { ...State } } } ${STATE}`;
const CURSOR = 'query($projectId: ID!) { eventCursor(projectId: $projectId) }';
const LOAD = `query($taskId: ID!, $slot: Int, $after: String) { task(id: $taskId) {
  annotations(slot: $slot, includeDeleted: true, first: 200, after: $after) {
    nodes { ...State } pageInfo { hasNextPage endCursor } } } } ${STATE}`;
const FOLLOW = `subscription($projectId: ID!, $taskId: ID!, $after: EventCursor) {
  taskEvents(projectId: $projectId, taskId: $taskId, after: $after) { type cursor
    ... on AnnotationEvent { annotation { ...State } }
    ... on ConflictEvent { conflict { annotation { ...State } } } } } ${STATE}`;
const AT_ONCE = 100; // edits of one request: at most 500, and 8 MiB
const SECOND = 1_000;

export class LabelingClient {
  private options: Options;
  private server = new Map<string, Annotation>(); // what the server said last, by id
  private queues: Queue[]; // what it has not answered, by session; new edits go into the last one
  private cursor?: string; // up to where events were heard
  private socket?: WebSocket;
  private isSending = false;
  private isStopped = false;
  private pause = SECOND;

  constructor(session: Session, options: Options) {
    this.options = options;
    this.queues = options.store.load();
    this.use(session);
    this.follow();
  }

  /** Edits are made under this session from now on. What waits under an earlier one is sent under that one, and first. */
  use(session: Session) {
    const isIts = (queue: Queue) => queue.session.id === session.id;
    this.queues = [...this.queues.filter((queue) => !isIts(queue)), this.queues.find(isIts) ?? { session, edits: [] }];
    void this.flush();
  }

  stop() {
    this.isStopped = true;
    this.socket?.close();
  }

  /** How many edits wait for their answer. */
  get waiting() {
    return this.queues.reduce((sum, { edits }) => sum + edits.length, 0);
  }

  /** What to draw, by id: the server's state, and over it the edits that wait. Deleted ones are among it, for their conflicts. */
  view(): Map<string, Annotation> {
    const view = new Map(this.server);
    for (const { session, edits } of this.queues) {
      for (const edit of edits) {
        const [[kind, change]] = Object.entries(edit) as [[Kind, Change]];
        const base = change.base ?? { '#': 1 };
        const dot = (base[session.actor] ?? 0) + 1;
        const below = view.get(change.id);
        const seen = this.server.get(change.id)?.versionVector[session.actor] ?? 0;
        // An event can be faster than the answer: then the server's state shows already what became of the edit.
        if (dot <= seen || (!below && kind !== 'create')) continue;
        const blank = { slot: this.options.slot, revision: 0, deleted: false, openConflicts: [] };
        const attributes = Object.entries({ ...below?.attributes, ...change.attributes });
        view.set(change.id, {
          ...(below ?? (blank as unknown as Annotation)),
          ...change,
          attributes: Object.fromEntries(attributes.filter(([, value]) => value !== null)),
          deleted: kind === 'delete' || (kind === 'update' && below!.deleted),
          // The base of the next edit. What others did meanwhile is hidden by edits that wait: it does not count as seen.
          versionVector: { ...base, [session.actor]: dot },
        });
      }
    }
    return view;
  }

  /** Does it here and now; the server hears of it later. Ids of new annotations are made here (docs/api.md, Ids). */
  edit(kind: Kind, change: Omit<Change, 'base'>) {
    const base = kind === 'create' ? {} : { base: this.view().get(change.id)!.versionVector };
    this.queues.at(-1)!.edits.push({ [kind]: { ...change, ...base } });
    this.keep();
    void this.flush();
  }

  /** Sends what waits, one batch after the other. Call it also when the network is back (`online`). */
  async flush(): Promise<void> {
    if (this.isSending || this.isStopped) return;
    this.isSending = true;
    try {
      for (let queue; (queue = this.queues.find(({ edits }) => edits.length > 0));) {
        const batch = queue.edits.slice(0, AT_ONCE);
        const input = { sessionId: queue.session.id, fence: queue.session.fence, edits: batch };
        const results: Result[] = (await this.ask(SAVE, { input })).saveAnnotations.results;
        if (this.isStopped) return;
        // Nothing but an answer takes edits out. That takes a rejected one back, too: it is not laid over the state any more.
        queue.edits.splice(0, batch.length);
        results.forEach(({ annotation }) => this.take(annotation));
        this.keep();
        this.pause = SECOND;
        results.forEach((result, n) => result.outcome === 'APPLIED' || this.options.told(result, batch[n]!));
      }
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      // Whether the save was done is unknown. The very same edits go again: the server recognises those that it has.
      this.pause = Math.min(2 * this.pause, 30 * SECOND);
      if (error.isPassing) setTimeout(() => this.flush(), this.pause * Math.random());
      else this.options.failed(error);
    } finally {
      this.isSending = false;
    }
  }

  /** Decides a conflict; `merged`: fields as in an update. Fails with STALE when the annotation has changed: look again. */
  async resolve(id: string, conflictId: string, choice: 'CURRENT' | 'INCOMING' | 'MERGED', merged?: Values) {
    const input = { conflictId, base: this.server.get(id)!.versionVector, choice, merged };
    this.take((await this.ask(RESOLVE, { input })).resolveConflict.annotation);
    this.options.changed();
  }

  private keep() {
    this.queues = this.queues.filter(({ edits }, n) => edits.length > 0 || n === this.queues.length - 1);
    this.options.store.save(this.queues);
    this.options.changed();
  }

  /** Takes the server's state, unless a later one is known: answers and events overtake one another. */
  private take(annotation: Annotation | null) {
    const { slot } = this.options;
    if (!annotation || (slot && annotation.slot !== slot)) return;
    const known = this.server.get(annotation.id);
    if (!known || known.revision <= annotation.revision) this.server.set(annotation.id, asSent(annotation));
  }

  /** Reads everything anew. The cursor comes first: what happens meanwhile is heard twice rather than not at all. */
  private async load() {
    const { projectId, taskId, slot } = this.options;
    const cursor = (await this.ask(CURSOR, { projectId })).eventCursor;
    const found = new Map<string, Annotation>();
    for (let page = { hasNextPage: true, endCursor: null }; page.hasNextPage;) {
      const { nodes, pageInfo } = (await this.ask(LOAD, { taskId, slot, after: page.endCursor })).task.annotations;
      nodes.forEach((annotation: Annotation) => found.set(annotation.id, asSent(annotation)));
      page = pageInfo;
    }
    [this.server, this.cursor] = [found, cursor];
    this.options.changed();
  }

  private follow() {
    if (this.isStopped) return;
    const { url, token } = this.options;
    const socket = new WebSocket(`${url.replace(/^http/, 'ws')}/graphql/ws`, 'graphql-transport-ws');
    const send = (message: object) => socket.send(JSON.stringify(message));
    let turn = Promise.resolve();
    socket.onopen = () => send({ type: 'connection_init', payload: token ? { Authorization: `Bearer ${token}` } : {} });
    socket.onmessage = ({ data }) => {
      turn = turn
        .then(() => this.hear(JSON.parse(data), send))
        .catch((reason) => {
          if (!reason.isPassing) this.options.failed(reason);
          socket.close();
        });
    };
    // Node.js 20 says `error` alone when there is no server, others say both.
    socket.onclose = socket.onerror = (event) => {
      if (this.socket !== socket) return;
      this.socket = undefined;
      const isSignedOut = 'code' in event && event.code === 4403;
      if (isSignedOut) this.options.failed(new Failure('UNAUTHENTICATED', 'sign in again', false));
      setTimeout(() => this.follow(), (isSignedOut ? 30 : 1) * SECOND * (0.5 + Math.random()));
    };
    this.socket = socket;
  }

  private async hear({ type, payload }: any, send: (message: object) => void) {
    if (this.isStopped) return;
    if (type === 'connection_ack') {
      if (!this.cursor) await this.load();
      const { projectId, taskId } = this.options;
      const variables = { projectId, taskId, after: this.cursor };
      send({ id: '1', type: 'subscribe', payload: { query: FOLLOW, variables } });
      void this.flush(); // the server is back
    } else if (type === 'next') {
      const event = payload.data?.taskEvents;
      // One that could not be shown, or a cursor that cannot be continued.
      if (!event || event.type === 'RESYNC_REQUIRED') return this.load();
      // Other events tell of no annotation; new types come at any time.
      this.take(event.annotation ?? event.conflict?.annotation ?? null);
      this.cursor = event.cursor;
      this.options.changed();
      this.options.happened(event);
    } else if (type === 'ping') {
      send({ type: 'pong' });
    } else if (type === 'error') {
      throw failure(payload[0]);
    } else if (type === 'complete') {
      throw new Failure('UNAVAILABLE', 'the events have ended', true);
    }
  }

  private async ask(query: string, variables: object): Promise<any> {
    const { url, token } = this.options;
    let answer;
    try {
      const headers = { 'Content-Type': 'application/json', ...(token && { Authorization: `Bearer ${token}` }) };
      const body = JSON.stringify({ query, variables });
      const signal = AbortSignal.timeout(40 * SECOND);
      const response = await fetch(`${url}/graphql`, { method: 'POST', headers, body, credentials: 'include', signal });
      answer = await response.json();
    } catch {
      throw new Failure('UNAVAILABLE', 'there was no answer', true);
    }
    if (answer.errors) throw failure(answer.errors[0]);
    return answer.data;
  }
}

// A save that ended nobody knows how (UNAVAILABLE, not retryable) can be sent again as well.
function failure({ message, extensions }: any): Failure {
  return new Failure(extensions.code, message, extensions.retryable || extensions.code === 'UNAVAILABLE');
}

// Geometries come with the name of their type and go under it: { __typename: 'BoundingBox', x: 1 } is { boundingBox: { x: 1 } }.
function asSent(annotation: Annotation): Annotation {
  const { __typename: name, ...geometry } = annotation.geometry as { __typename: string };
  return { ...annotation, geometry: { [name.charAt(0).toLowerCase() + name.slice(1)]: geometry } };
}
