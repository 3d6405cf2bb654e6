// Follows a project with urql (https://nearform.com/open-source/urql) over graphql-ws.
import { Client, subscriptionExchange } from '@urql/core';
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
  const socket = createClient({
    url: `${url.replace(/^http/, 'ws')}/graphql/ws`,
    connectionParams: () => ({ Authorization: `Bearer ${token()}` }),
    retryAttempts: Infinity,
    retryWait: wait,
    shouldRetry: (event) => event?.code !== 4403, // signed out
  });
  const goOn = subscriptionExchange({
    forwardSubscription({ query, variables }) {
      // graphql-ws sends this very object again when it reconnects: it goes on behind what stands in it then.
      const payload = { query, variables: { ...variables } };
      const next = (result, sink) => {
        if (result.data?.taskEvents) payload.variables.after = result.data.taskEvents.cursor;
        sink.next(result);
      };
      return {
        subscribe: (sink) => ({
          unsubscribe: socket.subscribe(payload, { ...sink, next: (result) => next(result, sink) }),
        }),
      };
    },
  });
  const client = new Client({ url: `${url}/graphql`, exchanges: [goOn] });
  const subscription = client.subscription(FOLLOW, { projectId, after }).subscribe(({ data, error }) => {
    if (!data) return failed(error); // it cannot begin, or not go on; or one event could not be shown
    const event = data.taskEvents;
    if (event.__typename === 'ResyncRequired') reload(event.reason);
    else show(event); // keep a default branch: types are added at any time
  });
  return () => subscription.unsubscribe();
}
