// Follows a project with Apollo Client (https://www.apollographql.com/docs/react) over graphql-ws.
import { ApolloClient, ApolloLink, InMemoryCache, gql } from '@apollo/client';
import { GraphQLWsLink } from '@apollo/client/link/subscriptions';
import { createClient } from 'graphql-ws';
import { tap } from 'rxjs';

const FOLLOW = gql`subscription ($projectId: ID!, $after: EventCursor) {
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
  // Apollo copies the variables that it is given. Those that graphql-ws sends again when it reconnects are in the operation.
  const goOn = new ApolloLink((operation, forward) =>
    forward(operation).pipe(
      tap(({ data }) => {
        if (data?.taskEvents) operation.variables.after = data.taskEvents.cursor;
      }),
    ),
  );
  const client = new ApolloClient({ cache: new InMemoryCache(), link: goOn.concat(new GraphQLWsLink(socket)) });
  const events = client.subscribe({ query: FOLLOW, variables: { projectId, after }, fetchPolicy: 'no-cache' });
  const subscription = events.subscribe({
    next({ data, error }) {
      if (!data) return failed(error); // it cannot begin, or not go on; or one event could not be shown
      const event = data.taskEvents;
      if (event.__typename === 'ResyncRequired') reload(event.reason);
      else show(event); // keep a default branch: types are added at any time
    },
    error: failed,
  });
  return () => subscription.unsubscribe();
}
