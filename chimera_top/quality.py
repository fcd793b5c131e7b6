"""What `--quality` asks for: questions to every server, and the results of other programs."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec.structs import replace

from chimera_top.access import secrets
from chimera_top.exit import UsageError
from chimera_top.sources import DEFAULT_TARGET, access
from collectors.target import target
from metrics.sample import Source

if TYPE_CHECKING:
    from collections.abc import Sequence

    from chimera_top.config import Settings
    from collectors.clock import Clock
    from collectors.collector import Collector
    from collectors.quality.embedder import Endpoint
    from collectors.quality.examiner import Plan
    from metrics.observed import Measure

_MAX_RESULTS = 64 * 2**20


def examined(settings: Settings, collectors: Sequence[Collector], clock: Clock) -> list[Collector]:
    """Put a canary beside each server where questions are asked for; raises UsageError that names an unusable file."""
    plan = quality_plan(settings)
    if plan is None:
        return list(collectors)
    from collectors.probe.overhear import Overheard  # noqa: PLC0415 only who asks for quality pays for it
    from collectors.probe.schedule import Heard  # noqa: PLC0415
    from collectors.quality.canary import Canary  # noqa: PLC0415

    urls = {target(each).source: each for each in settings.targets or (DEFAULT_TARGET,)}
    found: list[Collector] = []
    for each in collectors:
        if each.kind is not Source.SERVER:
            found.append(each)
            continue
        heard = Heard()
        quiet = replace(plan, waiting=lambda heard=heard: heard.waiting)
        headers, ca_file = access(settings, each.name, os.environ)
        canary = Canary(
            urls[each.name], quiet, clock=clock, headers=headers, ca_file=ca_file, embeddings=embeddings(settings)
        )
        found += [Overheard(each, heard), canary]
    return found


def quality_plan(settings: Settings) -> Plan | None:
    """Read the questions; None where none are asked for. Raises UsageError that names what is unusable."""
    files = [each for each in settings.quality if not _holds_results(each)]
    if not files:
        return None
    if len(files) > 1:
        raise UsageError(f"--quality: one file of questions at a time, not {' and '.join(files)}")
    if settings.quality_budget < 1000:
        raise UsageError(
            f"quality_budget: {settings.quality_budget} tokens an hour do not pay for a question: at least 1000"
        )
    if settings.price is not None and not 0 <= settings.price < float("inf"):
        raise UsageError(f"price: {settings.price} is no price: write dollars for a million tokens, as 0.6")
    embeddings(settings)
    from collectors.quality.examiner import Plan  # noqa: PLC0415
    from collectors.quality.items import load  # noqa: PLC0415
    from insight.quality.grading import grade  # noqa: PLC0415
    from insight.quality.holdout import held_out  # noqa: PLC0415

    try:
        return Plan(load(files[0]), grade, float(settings.quality_budget), held_out=held_out, price=settings.price)
    except ValueError as error:
        raise UsageError(f"--quality: {error}") from None


def embeddings(settings: Settings) -> Endpoint | None:
    """Read which server embeds, and the one token that it is given; raises UsageError that names what is unusable.

    It is another server than the targets: their token and headers are not for it, nor is its token for them.
    """
    if settings.embeddings is None:
        return None
    from collectors.quality.embedder import Endpoint  # noqa: PLC0415

    try:
        there = target(settings.embeddings)
    except ValueError as error:
        raise UsageError(f"--embeddings: {error}") from None
    token = secrets(settings.embeddings_token_env, (), os.environ, called=("--embeddings-token-env", ""))
    return Endpoint(there.root, there.source, {**there.headers, **token}, settings.ca_cert, settings.embeddings_model)


def imported_quality(settings: Settings) -> dict[str, Measure]:
    """Read the results of other programs; raises UsageError that names a file that holds none."""
    found: dict[str, Measure] = {}
    for path in filter(_holds_results, settings.quality):
        found.update(_results(path))
    return found


def _results(path: str) -> dict[str, Measure]:
    import msgspec  # noqa: PLC0415

    from insight.quality.imports import read_results  # noqa: PLC0415

    try:
        with Path(path).open("rb") as stream:
            data = stream.read(_MAX_RESULTS + 1)
        if len(data) > _MAX_RESULTS:
            raise UsageError(f"--quality: {path} is larger than {_MAX_RESULTS // 2**20} MiB")
        return read_results(msgspec.json.decode(data))
    except OSError as error:
        raise UsageError(f"--quality: cannot read {path}: {error.strerror}") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise UsageError(f"--quality: {path} is not JSON; a file of questions ends in .jsonl") from None
    except ValueError as error:
        raise UsageError(f"--quality: {path}: {error}") from None


def _holds_results(path: str) -> bool:
    return path.endswith(".json")
