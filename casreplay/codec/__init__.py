"""Values to bytes and back: the only floor that imports blake3 and zstandard."""
