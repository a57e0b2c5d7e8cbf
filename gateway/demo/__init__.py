"""What `make run` shows: a local Kafka, the service, sandbox providers, a campaign, and its audit."""
