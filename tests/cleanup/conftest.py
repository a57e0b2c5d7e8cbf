"""The databases of the clean-ups' tests."""

from tests.directory.databases import database, postgres_server, postgres_url

__all__ = ["database", "postgres_server", "postgres_url"]
