"""Rows from elsewhere: files, folders and datasets on the hub. All or nothing; each fault names file, place and remedy.

A file may come from anyone, so it is read in one pass, and everything in it is bounded: bytes, lines, the length of a line, rows. What a
terminal would hide or obey is refused, for nobody looks at imported rows one by one before they are trained on.
"""

from dataset.importing.bounds import MAX_BYTES, MAX_FAULTS, MAX_ROWS
from dataset.importing.columns import Choice
from dataset.importing.reading import ENDINGS, FORMS, Read, Reading, read, read_data, read_rows, read_text

__all__ = [
    "ENDINGS",
    "FORMS",
    "MAX_BYTES",
    "MAX_FAULTS",
    "MAX_ROWS",
    "Choice",
    "Read",
    "Reading",
    "read",
    "read_data",
    "read_rows",
    "read_text",
]
