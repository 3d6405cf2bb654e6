// Follows a project over a WebSocket with graphql-ws (https://the-guild.dev/graphql/ws), over any number of broken connections.
import { createClient } from 'graphql-ws';

const FOLLOW = `subscription ($projectId: ID!, $after: EventCursor) {
  taskEvents(projectId: $projectId, after: $after) {
    __typename id cursor type
    ... on TaskEvent { taskId task { state priority } }
    ... on ResyncRequired { reason }
  } }`;

const wait = (retries) =>
  new Promise((resolve) => setTimeout(resolve, 1000 * Math.min(2 ** retries, 30) * (0.5 + Math.random() / 2)));

/** `after` is what eventCursor said before the data was read. Gives what ends it. */
export function follow({ url, token, projectId, after, show, reload, failed }) {
  let [socket, silence] = [];
  const client = createClient({
    url: `${url.replace(/^http/, 'ws')}/graphql/ws`,
    // Asked again for each connection. A browser that signed in needs none: its cookie says who it is.
    connectionParams: () => ({ Authorization: `Bearer ${token()}` }),
    retryAttempts: Infinity,
    retryWait: wait,
    shouldRetry: (event) => event?.code !== 4403, // signed out
    // A connection that is gone without a word is noticed by what it does not answer.
    keepAlive: 10_000,
    on: {
      opened: (opened) => (socket = opened),
      ping: (received) => received || (silence = setTimeout(() => socket.readyState === 1 && client.terminate(), 5_000)),
      pong: (received) => received && clearTimeout(silence),
      closed: () => clearTimeout(silence),
    },
  });
  // graphql-ws sends this very object again when it reconnects: it goes on behind what stands in it then.
  const variables = { projectId, after };
  return client.subscribe(
    { query: FOLLOW, variables },
    {
      next({ data, errors }) {
        if (!data) return console.warn(errors); // one event could not be shown; the next ones come
        const event = data.taskEvents;
        variables.after = event.cursor;
        if (event.__typename === 'ResyncRequired') reload(event.reason);
        else show(event); // keep a default branch: types are added at any time
      },
      error: failed, // it cannot begin, or not go on
      complete() {},
    },
  );
}
