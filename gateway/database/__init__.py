"""The database that the directory, appeals, clean-ups, sent messages, drift and the audit share.

What needs it, and only that, waits while it is away: no decision does.
"""

from gateway.database.connections import (
    connected,
    connected_to_write,
    create_missing,
    create_tables,
    inserting,
    upsert,
    writing,
)
from gateway.database.database import Database, SetUp, with_tables
from gateway.database.engines import blocking_engine_for, database_url, engine_for
from gateway.database.positions import Positions, keep_positions, positions_of, positions_table
from gateway.database.sole_worker import AnotherWorkerError, Work, sole_worker

__all__ = [
    "AnotherWorkerError",
    "Database",
    "Positions",
    "SetUp",
    "Work",
    "blocking_engine_for",
    "connected",
    "connected_to_write",
    "create_missing",
    "create_tables",
    "database_url",
    "engine_for",
    "inserting",
    "keep_positions",
    "positions_of",
    "positions_table",
    "sole_worker",
    "upsert",
    "with_tables",
    "writing",
]
