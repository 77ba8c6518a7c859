"""Secrets in text: vendor tokens, credentials in assignments and in well-known file formats.

``scanner`` is what callers use. It owns no I/O: bytes come in pieces, matches go out, and a
match never holds the value it found.
"""
