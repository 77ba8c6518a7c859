"""The incident database, its life cycle and recurring patterns."""
