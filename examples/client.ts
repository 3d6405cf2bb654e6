// A labeling screen's half of saving and merging, to be copied into yours. The rules behind it: docs/merging.md.
//
// An edit shows at once and is sent in the background. What got no answer yet is in a store, survives a reload and is sent again as it
// was. What others do comes in as events. Uses `fetch` and `WebSocket` and no package; Node.js from 22.18 on runs it as it stands, with
// Node.js 20 start it with --experimental-websocket after removing the types (`tsc`). Heartbeats, claims and drawing are yours.

export type Vector = Record<string, number>;
export type Session = { id: string; fence: number; actor: string };
export type Conflict = { id: string; cause: string; fields: string[] };
export type Content = { tool: string; label: string; geometry: Record<string, unknown>; attributes: Record<string, unknown> };
export type Annotation = Content & { id: string; slot: number; revision: number; deleted: boolean; versionVector: Vector; openConflicts: Conflict[] };
export type Kind = 'create' | 'update' | 'delete' | 'restore';
export type Change = Partial<Content> & { id: string; base?: Vector };
export type Edit = Partial<Record<Kind, Change>>;
export type Result = { outcome: string; repeated: boolean; fields: string[]; code: string | null; field: string | null; message: string | null; annotation: Annotation | null; conflict: Conflict | null };
export type Queue = { session: Session; edits: Edit[] };

export type Options = {
  url: string; // the server's, such as https://label.example
  token?: string; // without it the session's cookie says who you are
  projectId: string;
  taskId: string;
  slot?: number; // the session's; null in a review of several slots
  store: { load(): Queue[]; save(queues: Queue[]): void }; // such as localStorage; with several tabs one key for each
  changed(): void; // draw view() again
  told(result: Result, edit: Edit): void; // an edit was MERGED, REJECTED, is in CONFLICT, or something newer than this file: say so
  happened(event: { type: string }): void; // any event of the task: a revoked lease, a verdict, …
  failed(error: Failure): void; // nothing goes on by itself: sign in, claim again, then use() or flush()
};

export class Failure extends Error {
  code: string;
  isPassing: boolean; // the same request may succeed later
  constructor(code: string, message: string, isPassing: boolean) {
    super(message);
    [this.code, this.isPassing] = [code, isPassing];
  }
}

const STATE = `fragment State on Annotation { id slot revision deleted versionVector tool label attributes openConflicts { id cause fields }
  geometry { __typename ... on BoundingBox { x y width height rotation } ... on TextSpan { start end text } } }`; // and the kinds you show
const SAVE = `mutation($input: SaveAnnotationsInput!) { saveAnnotations(input: $input) { results {
  outcome repeated fields code field message annotation { ...State } conflict { id cause fields } } } } ${STATE}`;
const RESOLVE = `mutation($input: ResolveConflictInput!) { resolveConflict(input: $input) { annotation { ...State } } } ${STATE}`;
const CURSOR = 'query($projectId: ID!) { eventCursor(projectId: $projectId) }';
const LOAD = `query($taskId: ID!, $slot: Int, $after: String) { task(id: $taskId) { annotations(slot: $slot, includeDeleted: true, first: 200, after: $after) {
  nodes { ...State } pageInfo { hasNextPage endCursor } } } } ${STATE}`;
const FOLLOW = `subscription($projectId: ID!, $taskId: ID!, $after: EventCursor) { taskEvents(projectId: $projectId, taskId: $taskId, after: $after) {
  type cursor ... on AnnotationEvent { annotation { ...State } } ... on ConflictEvent { conflict { annotation { ...State } } } } } ${STATE}`;
const AT_ONCE = 100; // edits of one request: at most 500, and 8 MiB
const SECOND = 1_000;

export class LabelingClient {
  private options: Options;
  private server = new Map<string, Annotation>(); // what the server said last, by id
  private queues: Queue[]; // what it has not answered, session by session; new edits go into the last one
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

  /** Edits from now on under this session: the first one, or another after LEASE_LOST or a late edit. What waits under an earlier one is sent under that. */
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

  /** What to draw (deleted ones not, but where they have conflicts): the server's state, and over it the edits without an answer. */
  view(): Map<string, Annotation> {
    const view = new Map(this.server);
    for (const { session: { actor }, edits } of this.queues) {
      for (const edit of edits) {
        const [[kind, change]] = Object.entries(edit) as [[Kind, Change]];
        const base = change.base ?? { '#': 1 };
        const dot = (base[actor] ?? 0) + 1;
        const below = view.get(change.id);
        // An event can be faster than the answer: then the server's state shows already what became of the edit.
        if (dot <= (this.server.get(change.id)?.versionVector[actor] ?? 0) || (!below && kind !== 'create')) continue;
        const attributes = Object.entries({ ...below?.attributes, ...change.attributes }).filter(([, value]) => value !== null);
        view.set(change.id, {
          ...(below ?? { slot: this.options.slot, revision: 0, openConflicts: [] }), ...change, attributes: Object.fromEntries(attributes),
          deleted: kind === 'delete' || (kind === 'update' && below!.deleted),
          // The base of the next edit. While edits wait they hide what others did to the annotation since: that does not count as seen.
          versionVector: { ...base, [actor]: dot },
        } as Annotation);
      }
    }
    return view;
  }

  /** Does something here and now; the server hears of it later. Ids of new annotations are made by the client (docs/api.md). */
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
      for (let queue; (queue = this.queues.find(({ edits }) => edits.length > 0)); ) {
        const { session: { id: sessionId, fence }, edits } = queue;
        const batch = edits.slice(0, AT_ONCE);
        const { results } = (await this.ask(SAVE, { input: { sessionId, fence, edits: batch } })).saveAnnotations as { results: Result[] };
        if (this.isStopped) return;
        // Only an answer takes edits out. A rejected one is taken back by that: nothing lays it over the server's state any more.
        edits.splice(0, batch.length);
        results.forEach(({ annotation }) => this.take(annotation));
        this.keep();
        this.pause = SECOND;
        results.forEach((result, n) => result.outcome === 'APPLIED' || this.options.told(result, batch[n]!));
      }
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      // Nobody knows whether the save was done. The very same edits go again: those that were are recognised.
      if (error.isPassing) setTimeout(() => this.flush(), (this.pause = Math.min(2 * this.pause, 30 * SECOND)) * Math.random());
      else this.options.failed(error);
    } finally {
      this.isSending = false;
    }
  }

  /** Decides a conflict of an annotation. Fails with STALE when it has changed: look again. `merged` holds fields as in an update. */
  async resolve(id: string, conflictId: string, choice: 'CURRENT' | 'INCOMING' | 'MERGED', merged?: Partial<Content> & { deleted?: boolean }) {
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
    for (let page = { hasNextPage: true, endCursor: null }; page.hasNextPage; ) {
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
      turn = turn.then(() => this.hear(JSON.parse(data), send)).catch((error) => {
        if (!error.isPassing) this.options.failed(error);
        socket.close();
      });
    };
    socket.onclose = () => setTimeout(() => this.follow(), SECOND * (0.5 + Math.random()));
    this.socket = socket;
  }

  private async hear(message: any, send: (message: object) => void) {
    if (this.isStopped) return;
    if (message.type === 'connection_ack') {
      if (!this.cursor) await this.load();
      const { projectId, taskId } = this.options;
      send({ id: '1', type: 'subscribe', payload: { query: FOLLOW, variables: { projectId, taskId, after: this.cursor } } });
      void this.flush(); // the server is back
    } else if (message.type === 'next') {
      const event = message.payload.data?.taskEvents;
      // One that could not be shown, or the cursor is too old to be continued.
      if (!event || event.type === 'RESYNC_REQUIRED') return this.load();
      this.take(event.annotation ?? event.conflict?.annotation ?? null); // other events, and ones of types to come, tell of no annotation
      this.cursor = event.cursor;
      this.options.changed();
      this.options.happened(event);
    } else if (message.type === 'ping') {
      send({ type: 'pong' });
    } else if (message.type === 'error') {
      throw failure(message.payload[0]);
    }
  }

  private async ask(query: string, variables: object): Promise<any> {
    const { url, token } = this.options;
    let answer;
    try {
      const headers = { 'Content-Type': 'application/json', ...(token && { Authorization: `Bearer ${token}` }) };
      const body = JSON.stringify({ query, variables });
      const response = await fetch(`${url}/graphql`, { method: 'POST', headers, body, credentials: 'include', signal: AbortSignal.timeout(40 * SECOND) });
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
