"""The only floor, beside ``workspace``, that touches the disk: segments, index, log, locks."""
