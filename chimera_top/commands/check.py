"""`chimera-top check`: one line a finding, and an exit code that says the worst."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from chimera_top.commands.report import seen
from chimera_top.config import prepare
from insight.report.check import check

if TYPE_CHECKING:
    import argparse

DEFAULT_FOR = "30s"


def run(flags: argparse.Namespace) -> int:
    """Print the findings and return 0 ok, 1 warning, 2 critical or 3 unknown."""
    settings = prepare(flags)
    lines, status = check(seen(settings, flags.replay, flags.for_, DEFAULT_FOR))
    sys.stdout.write("\n".join(lines) + "\n")
    sys.stdout.flush()
    return status
