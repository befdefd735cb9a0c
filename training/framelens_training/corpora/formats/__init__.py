"""Labelled documents in the formats that people keep them in.

`read_any` and `write_any` choose the format by the path; `FORMATS` names them all.
"""

from framelens_training.corpora.formats.registry import (
    FORMATS,
    Format,
    detect,
    parse_any,
    read_any,
    write_any,
)

__all__ = ["FORMATS", "Format", "detect", "parse_any", "read_any", "write_any"]
