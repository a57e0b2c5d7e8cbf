"""What `make run` shows: a local Kafka, the service, a sandbox provider, a campaign, and an audit of the topics."""
