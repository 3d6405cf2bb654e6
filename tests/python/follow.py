"""Runs examples/live/python_gql.py as people copy it, and prints what it is told.

    python follow.py '{"url", "token", "project", "after", "haste"}'

Prints a JSON object a line: {"event"}, {"reload"} or {"failed"}. Ends when it is told a line.
"""
import asyncio
import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "examples" / "live"))
import python_gql  # noqa: E402


def say(what):
    print(json.dumps(what), flush=True)


async def show(event):
    say({"event": event})


async def reload(reason):
    say({"reload": reason})


class Hasty:
    """asyncio with shorter pauses."""

    def __init__(self, haste):
        self.haste = haste

    def __getattr__(self, name):
        return getattr(asyncio, name)

    async def sleep(self, seconds):
        await asyncio.sleep(seconds / self.haste)


async def main(scene):
    python_gql.asyncio = Hasty(scene["haste"])
    following = python_gql.follow(
        scene["url"], lambda: scene["token"], scene["project"], scene["after"], show, reload
    )
    following = asyncio.ensure_future(following)
    loop = asyncio.get_running_loop()
    loop.run_in_executor(None, sys.stdin.readline).add_done_callback(lambda _: following.cancel())
    try:
        await following
    except asyncio.CancelledError:
        pass
    except Exception as error:
        say({"failed": f"{error!r} {error.__cause__!r}"})
        raise


asyncio.run(main(json.loads(sys.argv[1])))
