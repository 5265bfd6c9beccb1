"""How many event streams one caller may have."""

from contextlib import AsyncExitStack

from api.live import broker
from api.live.sse import streams_of
from tests.api.streams import open_ready, serve_app
from tests.builders import book_job


async def test_a_caller_has_five_streams_and_another_ends_the_oldest(api):
    credential, other = [(await api.friend(ref)).token for ref in ("f1", "f2")]
    async with serve_app(api.app) as url, AsyncExitStack() as stack:
        bystander = await stack.enter_async_context(open_ready(url, other))
        first, *others = [
            await stack.enter_async_context(open_ready(url, credential))
            for _ in range(broker.STREAMS_PER_CALLER + 1)
        ]
        assert await first.next() is None
        await book_job(api.rt)
        for one in (bystander, *others):
            assert (await one.next()).name == "offer.made"
        streams = streams_of(api.app)
        assert len(streams._by_caller) == 2
    assert streams._by_caller == {}
