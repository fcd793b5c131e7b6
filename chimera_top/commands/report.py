"""`chimera-top report`: watch for a while, or look back over a recording, and write what was found."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from chimera_top.config import prepare
from chimera_top.exit import Exit, FailureError, UsageError
from chimera_top.export import write
from chimera_top.sources import named_recordings
from insight.report import FORMATS, PROSE, render
from insight.report.redact import redact

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from chimera_top.config import Settings
    from insight.report.narrative import Narrative
    from metrics.snapshot import Snapshot

DEFAULT_FOR = "60s"


def run(flags: argparse.Namespace) -> int:
    """Write one report."""
    settings = prepare(flags)
    check_output(flags.output)
    form = flags.format or _form(flags.output)
    narrator = _narrator(flags, settings, form)
    snapshot = seen(settings, flags.replay, flags.for_, DEFAULT_FOR)
    if not flags.identifiers:
        snapshot = redact(snapshot)
    write(render(snapshot, form, narrator(snapshot) if narrator else None), flags.output)
    if flags.output not in (None, "-") and sys.stderr.isatty():
        sys.stderr.write(f"chimera-top: report written to {flags.output}\n")
    return Exit.OK


def _form(output: str | None) -> str:
    """Choose a format by the name of the file, else by who reads; raises UsageError for an ending that is unknown."""
    ending = "" if output is None else Path(output).suffix.lower().removeprefix(".")
    if not ending:
        return "text" if output is None and sys.stdout.isatty() else "md"
    endings = {"htm": "html", "txt": "text", **{each: each for each in FORMATS}}
    if ending not in endings:
        known = ", ".join(f".{each}" for each in sorted(endings))
        raise UsageError(f"-o {output}: .{ending} is no format: name it {known}, or say --format")
    return endings[ending]


def _narrator(
    flags: argparse.Namespace, settings: Settings, form: str
) -> Callable[[Snapshot], Narrative | None] | None:
    """Make what asks a model about a redacted Snapshot, before anybody has waited for what cannot be."""
    if flags.narrate is None:
        if flags.narrate_model or flags.narrate_token_env:
            raise UsageError("--narrate-model and --narrate-token-env belong to --narrate URL")
        return None
    if flags.identifiers:
        raise UsageError(
            "--narrate sends the report to a model, --identifiers keeps what is not to be sent: choose one"
        )
    if form not in PROSE:
        raise UsageError(f"--narrate adds prose, {form} has none: use --format {', '.join(PROSE)}")
    from chimera_top.narrate import narrator  # noqa: PLC0415 only who asks a model needs what does

    return narrator(flags.narrate, flags.narrate_model, flags.narrate_token_env, settings.ca_cert, os.environ)


def seen(settings: Settings, replay: str | None, for_text: str | None, default_for: str) -> Snapshot:
    """Make the Snapshot of a report: of a recording where one is named, else of what is seen from now on."""
    recordings = named_recordings(settings)
    if replay and settings.record:
        raise UsageError("--record writes what is seen, --replay sees nothing new: leave one of them out")
    if replay and settings.targets:
        raise UsageError("--replay speaks of a recording, TARGET of a server: name one of them")
    if replay or recordings:
        from chimera_top.lookback import look_back  # noqa: PLC0415 what watches is not needed then

        return look_back(settings, replay or recordings[0], for_text)
    from chimera_top.watch import watch  # noqa: PLC0415 nor the other way round

    return watch(settings, for_text or default_for)


def check_output(output: str | None) -> None:
    """Raise FailureError before anybody has waited for a report that cannot be written."""
    if output in (None, "-"):
        return
    path = Path(output)
    if path.is_dir():
        raise FailureError(f"cannot write {path}: it is a directory; name a file in it")
    if not path.parent.is_dir():
        raise FailureError(f"cannot write {path}: there is no directory {path.parent}; make it first (mkdir -p)")
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        raise FailureError(f"cannot write {path}: permission denied; name a file that this user may write")
