"""The floor of the webhook door: `python -m tests.bench.bare_door BOOTSTRAP TOPIC`, which prints its port.

It reads the body and produces, per post, a record of the same bytes as the door does, with the same client and
`acks=all`; and nothing else: no signature, no parsing, no barrier, no order, no spool. It ends with its input.
"""

from __future__ import annotations

import asyncio
import itertools
import sys

import uvloop
from aiohttp import web

from gateway.cli.run import collect_garbage_seldom
from gateway.settings import Settings
from gateway.streams.clients import Clients
from tests.bench.posts import records

DIFFERENT_RECORDS = 1_000


async def main(bootstrap: str, topic: str) -> None:
    producer = Clients(Settings.of(kafka_bootstrap_servers=bootstrap).kafka).signal_producer()
    await producer.start()
    following = itertools.cycle(records(DIFFERENT_RECORDS))

    async def status(request: web.Request) -> web.Response:
        await request.read()
        record = next(following)
        await producer.send_and_wait(topic, record.value, record.key)
        return web.Response()

    app = web.Application()
    app.router.add_post("/webhooks/twilio/{location_id}/status", status)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    collect_garbage_seldom()  # as the service does
    sys.stdout.write(f"{runner.addresses[0][1]}\n")
    sys.stdout.flush()
    await asyncio.to_thread(sys.stdin.read)
    await runner.cleanup()
    await producer.stop()


if __name__ == "__main__":
    uvloop.run(main(*sys.argv[1:]))
