"""Which cluster this is: a view belongs to the log of one."""

from __future__ import annotations

from aiokafka.errors import KafkaError

from gateway.streams.clients import Clients, close
from gateway.streams.closing import start
from gateway.streams.topics import KafkaUnreachableError


async def cluster_id(clients: Clients) -> str:
    """The id the cluster was formatted with. KafkaUnreachableError when no broker says it."""
    admin = clients.admin()
    try:
        await start(admin)
        answer = await admin.describe_cluster()
    except (KafkaError, OSError, TimeoutError) as error:
        raise KafkaUnreachableError(f"no broker tells the cluster's id: {error!r}") from error
    finally:
        await close(admin)
    return str(answer["cluster_id"])
