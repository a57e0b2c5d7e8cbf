"""The directory's tables, in SQLite or PostgreSQL, and their version.

All of it can be worked out again from `contacts` and `dnd.events`, except that a merge of long ago would then be done
once more where the log no longer shows it; so this is a store to keep, not one whose loss frees anybody.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Connection,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    insert,
    select,
)

from gateway.database import create_missing, positions_table

VERSION = 1
"""Of these tables. A release that changes them counts on and brings those of the former one along."""

metadata = MetaData()

schema = Table("directory_schema", metadata, Column("version", Integer, primary_key=True))

contacts = Table(
    "directory_contacts",
    metadata,
    Column("location_id", Text, primary_key=True),
    Column("contact_id", Text, primary_key=True),
    Column("merged_into", Text),
    Column("merge_said_at", BigInteger, nullable=False),
    Column("deleted", Boolean, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
)

addresses = Table(
    "directory_addresses",
    metadata,
    Column("location_id", Text, primary_key=True),
    Column("kind", Text, primary_key=True),
    Column("address", Text, primary_key=True),
    Column("contact_id", Text, primary_key=True),
    Column("current", Boolean, nullable=False),
)
Index("directory_addresses_of_contact", addresses.c.location_id, addresses.c.contact_id)

carried = Table(
    "directory_carried",
    metadata,
    Column("location_id", Text, primary_key=True),
    Column("contact_id", Text, primary_key=True),
    Column("origin", Text, primary_key=True),
)
"""Holds that merges have brought to a contact."""

progress = positions_table("directory_progress", metadata)

work = Table(
    "directory_work",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("key", LargeBinary, nullable=False),
    Column("value", LargeBinary, nullable=False),
    Column("refused", Text),
)
"""Events worked out and not acknowledged by Kafka yet, in order. `refused`: why Kafka will never take it."""


class UnknownSchemaError(OSError):
    """The tables are of another release."""


def set_up(connection: Connection) -> None:
    """Create what is missing, in the caller's transaction. UnknownSchemaError."""
    create_missing(connection, metadata)
    version = connection.execute(select(schema.c.version)).scalar()
    if version is None:
        connection.execute(insert(schema).values(version=VERSION))
    elif version != VERSION:
        raise UnknownSchemaError(f"the directory's tables have version {version}, and this release knows {VERSION}")
