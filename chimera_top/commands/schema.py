"""`chimera-top schema`: the JSON Schema of what `report --format json` prints."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import msgspec

from chimera_top.exit import Exit
from insight.report.contract import schema

if TYPE_CHECKING:
    import argparse


def run(_flags: argparse.Namespace) -> int:
    """Print the schema."""
    sys.stdout.buffer.write(msgspec.json.format(msgspec.json.encode(schema())) + b"\n")
    sys.stdout.buffer.flush()
    return Exit.OK
