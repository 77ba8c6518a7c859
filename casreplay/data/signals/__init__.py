"""Signals as data: one TOML file a group; read by ``forensics.signals``."""
