"""A provider without an adapter of its own: a URL that takes JSON."""
