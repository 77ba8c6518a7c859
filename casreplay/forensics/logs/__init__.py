"""Reading logs: pieces of bytes in, records, levels, times, trace blocks and masks out.

Owns how a log is cut into lines and records and what a stack trace is. Does not
decide what a line means for a cause (``forensics.signals``) and reads no files:
callers hand in bytes or pieces of bytes.
"""

from casreplay.forensics.logs.guards import is_negated
from casreplay.forensics.logs.lines import Line, is_binary, read_lines
from casreplay.forensics.logs.masks import mask, mask_block
from casreplay.forensics.logs.records import LogRecord, read_records
from casreplay.forensics.logs.traces import TraceBlock, blocks

__all__ = [
    "Line",
    "LogRecord",
    "TraceBlock",
    "blocks",
    "is_binary",
    "is_negated",
    "mask",
    "mask_block",
    "read_lines",
    "read_records",
]
