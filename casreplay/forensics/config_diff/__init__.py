"""What changed in a configuration file, key by key, with line numbers.

``compare.compare`` is what callers use. Readers of each format turn bytes into flat entries;
the comparison knows no format.
"""
