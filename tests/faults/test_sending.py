"""The driver's own client: what it says of a record is so, also when it breaks on the way."""

from __future__ import annotations

import random

from tests.faults.driver import Driver, Load
from tests.faults.history import REQUEST_ID
from tests.faults.stage import Stage

SMALL_BYTES = 20_000
"""`max.message.bytes` of the requests' topic, and far less than a big request."""

LOAD = Load(requests=200.0, people=50, big_every=150)
"""A new client gets some through before it breaks too."""

REQUESTS = 200

BREAKS = {"enable.gapless.guarantee": True}
"""librdkafka ends with a fatal error as soon as a broker refuses a record for good."""


def test_a_client_that_breaks_is_replaced_and_what_it_had_under_way_is_of_unknown_fate(stage: Stage) -> None:
    stage.admin.set_config(stage.topic("outbound.requests"), "max.message.bytes", str(SMALL_BYTES))
    driver = Driver(stage.bootstrap, stage.prefix, LOAD, random.randrange(1 << 32), BREAKS)
    try:
        driver.start()
        driver.wait(lambda: driver.replaced > 0 and len(driver.sent.requests_acknowledged) > REQUESTS)
        sent = driver.finish()
    finally:
        driver.close()
    there = {record.header(REQUEST_ID) for record in stage.read("outbound.requests")}
    lost = [request_id for request_id in sent.requests if request_id.encode() not in there]
    assert lost, "nothing was refused"
    assert set(lost) <= sent.requests_unknown.keys()
    assert sent.requests.keys() == sent.requests_acknowledged.keys() | sent.requests_unknown.keys()
    assert not sent.requests_acknowledged.keys() & sent.requests_unknown.keys()
    assert sent.events.keys() == sent.events_acknowledged.keys()
