// Starts GraphiQL on index.html, posting to the server the page came from.
'use strict';

{
  const root = document.getElementById('graphiql');

  const socket = new URL(`${root.dataset.endpoint}/ws`, location.href);
  socket.protocol = socket.protocol.replace('http', 'ws');

  const fetcher = GraphiQL.createFetcher({
    url: root.dataset.endpoint,
    // What the header editor holds goes into the first message; without, the login cookie opens the socket.
    subscriptionUrl: socket.href,
    // The login cookie goes along; a bearer token can be given in the header editor.
    fetch: (url, init) => fetch(url, { ...init, credentials: 'same-origin' }),
    // The server knows neither @defer nor @stream.
    enableIncrementalDelivery: false,
  });

  // Tabs are kept in the browser: those of another project, such as a demo that was thrown away, stay apart.
  const namespace = root.dataset.project ? `concord:${root.dataset.project}` : 'concord';

  // A token typed into the header editor must not outlive the page, but GraphiQL's history stores the headers of every
  // request in spite of `shouldPersistHeaders`.
  const storage = GraphiQL.createLocalStorage({ namespace });
  const setItem = storage.setItem;
  const dropHeaders = (key, value) => (key === 'headers' ? undefined : value);
  storage.setItem = (key, value) => {
    const isHistory = key === 'graphiql:queries' || key === 'graphiql:favorites';
    setItem(key, isHistory ? JSON.stringify(JSON.parse(value), dropHeaders) : value);
  };

  ReactDOM.createRoot(root).render(
    React.createElement(GraphiQL, {
      fetcher,
      storage,
      defaultTabs: concordExamples(root.dataset.project),
      defaultEditorToolsVisibility: 'variables',
      isHeadersEditorEnabled: true,
      shouldPersistHeaders: false,
      showPersistHeadersSettings: false,
    }),
  );
}
