"""Follows a project with gql (https://gql.readthedocs.io, `pip install gql[websockets]`), over any number of broken connections."""
import asyncio
import random

from gql import Client, gql
from gql.transport.exceptions import TransportClosed, TransportConnectionFailed
from gql.transport.websockets import WebsocketsTransport
from websockets.exceptions import ConnectionClosed

FOLLOW = """subscription ($projectId: ID!, $after: EventCursor) {
  taskEvents(projectId: $projectId, after: $after) {
    __typename id cursor type
    ... on TaskEvent { taskId task { state priority } }
    ... on ResyncRequired { reason }
  } }"""


def is_signed_out(error):
    closed = error if isinstance(error, ConnectionClosed) else error.__cause__
    return isinstance(closed, ConnectionClosed) and closed.rcvd is not None and closed.rcvd.code == 4403


async def follow(url, token, project_id, after, show, reload):
    """`after` is what eventCursor said before the data was read. Ends when it is cancelled; raises what it cannot go on after
    (TransportQueryError: the server says why)."""
    request = gql(FOLLOW)
    # gql begins anew at each connection: it goes on behind what stands in here then.
    request.variable_values = {"projectId": project_id, "after": after}
    retries = 0
    while True:
        transport = WebsocketsTransport(
            url=url.replace("http", "ws", 1) + "/graphql/ws",
            subprotocols=[WebsocketsTransport.GRAPHQLWS_SUBPROTOCOL],
            init_payload={"Authorization": f"Bearer {token()}"},
        )
        try:
            async with Client(transport=transport) as session:
                async for data in session.subscribe(request):
                    retries, event = 0, data["taskEvents"]
                    request.variable_values["after"] = event["cursor"]
                    if event["__typename"] == "ResyncRequired":
                        await reload(event["reason"])
                    else:
                        await show(event)  # keep a default branch: types are added at any time
        except (TransportClosed, TransportConnectionFailed, ConnectionClosed, OSError, asyncio.TimeoutError) as error:
            if is_signed_out(error):
                raise
        await asyncio.sleep(min(2**retries, 30) * random.uniform(0.5, 1))
        retries += 1
