"""What the exit code of the command says."""

from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    """Exit codes of every command but `check`, whose own are those of `insight.report.check`."""

    OK = 0
    FAILED = 1
    """It could not do what was asked; the last line on stderr says why and what to do."""
    USAGE = 64
    """The command line or the configuration is wrong (EX_USAGE)."""
    CHECK_UNKNOWN = 3
    """What `check` says instead of the two above."""
    INTERRUPTED = 130
    """Ctrl-C: 128 + SIGINT."""
    NO_READER = 141
    """The reader of stdout went away: 128 + SIGPIPE."""


class UsageError(Exception):
    """A wrong flag, argument or configuration: one line that names it and the remedy."""


class FailureError(Exception):
    """Something that was asked for could not be done: one line that says what, why, and what to do."""
