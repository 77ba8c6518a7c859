"""Rules shipped as data."""
