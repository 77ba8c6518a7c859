"""What the agent did: logs and transcripts to events."""
