"""The audit of a campaign: what the topics and the providers' request log say, and whether it adds up."""
