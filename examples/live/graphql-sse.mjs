// Follows a project as events over HTTP with graphql-sse (https://the-guild.dev/graphql/sse), where sockets do not get through.
import { createClient } from 'graphql-sse';

const FOLLOW = `subscription ($projectId: ID!, $after: EventCursor) {
  taskEvents(projectId: $projectId, after: $after) {
    __typename id cursor type
    ... on TaskEvent { taskId task { state priority } }
    ... on ResyncRequired { reason }
  } }`;

/** `after` is what eventCursor said before the data was read. Gives what ends it. */
export function follow({ url, token, projectId, after, show, reload, failed }) {
  let isSignedOut = false;
  const client = createClient({
    url: `${url}/graphql/stream`,
    // Asked again for each connection. A browser that signed in needs none: its cookie says who it is.
    headers: () => ({ Authorization: `Bearer ${token()}` }),
    fetchFn: async (...request) => {
      const response = await fetch(...request);
      isSignedOut = response.status === 401;
      return response;
    },
    retryAttempts: Infinity,
    retry: async (retries) => {
      if (isSignedOut) throw new Error('sign in again');
      const seconds = Math.min(2 ** retries, 30) * (0.5 + Math.random() / 2);
      await new Promise((resolve) => setTimeout(resolve, 1000 * seconds));
    },
  });
  // graphql-sse sends this very object again when it reconnects: it goes on behind what stands in it then.
  const variables = { projectId, after };
  return client.subscribe(
    { query: FOLLOW, variables },
    {
      next({ data, errors }) {
        // It cannot begin, or not go on; or one event could not be shown, and the next ones come.
        if (!data) return failed(errors);
        const event = data.taskEvents;
        variables.after = event.cursor;
        if (event.__typename === 'ResyncRequired') reload(event.reason);
        else show(event); // keep a default branch: types are added at any time
      },
      error: failed,
      complete() {},
    },
  );
}
