"""The databases of the directory."""

from tests.directory.databases import database_values, postgres_server, postgres_url

__all__ = ["database_values", "postgres_server", "postgres_url"]
