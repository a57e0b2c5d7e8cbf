"""The databases of the directory's tests."""

from tests.directory.databases import database, postgres_server, postgres_url

__all__ = ["database", "postgres_server", "postgres_url"]
