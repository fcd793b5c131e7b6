"""Do answers become of another kind: refusals, loops, another script, nothing at all, longer, shorter."""

from __future__ import annotations

from typing import TYPE_CHECKING

from insight.quality.batches import finished
from insight.quality.change import LENGTHS, appeared, lengthened
from insight.quality.fault import Fault
from insight.rules.outcomes import LONG, REFERENCE_SECONDS, condition, labelled, moved, share, usual
from insight.rules.quality import RUNNING, P, baseline
from insight.rules.rule import HOLDS_NOT, Condition, Rule, Timing, unknown
from metrics import units
from metrics.finding import Evidence, Severity
from metrics.sample import Source

if TYPE_CHECKING:
    from insight.quality.batches import Batch
    from insight.quality.change import Change
    from insight.quality.statistics import Interval
    from insight.settings import Settings
    from metrics.view import SourceView

REPEATED_POINTS = 0.01
"""vLLM 0.17 and later end an answer that goes round in circles, with `repetition` as the reason. Our default."""
MIN_LENGTHS = 20
"""Items whose lengths are compared: the bootstrap interval of fewer is too narrow. Our default."""
_NAMES = {
    Fault.EMPTY: "are empty",
    Fault.REFUSAL: "refuse to answer",
    Fault.LOOP: "go round in circles",
    Fault.SCRIPT: "are in another script than the question",
    Fault.CUT: "are cut off",
}


def answer_drift(source: SourceView, settings: Settings, firing: bool) -> Condition | None:
    """Tell whether a fault of the answers became more frequent: in --quality's, or as the server counts them itself.

    So is whether the same questions get longer or shorter answers than before. The lengths of what users get are told
    by `model_drift`, answers cut off by their limit by `abort_or_truncation`. Not asked where neither --quality nor the
    server tells of answers.
    """
    del settings
    repeated = labelled(source, "requests_finished", "reason", "repetition")
    name = f"quality:{source.id}"
    asked = name in source.view.ids(Source.QUALITY)
    if not repeated and not asked:
        return None
    looped = _looped(source, repeated, firing)
    if looped is not None:
        return looped
    return _faults(source.view.of(name)) if asked else HOLDS_NOT


def _looped(source: SourceView, repeated: list[str], firing: bool) -> Condition | None:
    """Tell of answers that the server ended because they repeated themselves."""
    if not repeated or not moved(source, repeated, firing):
        return None
    whole = source.parts("requests_finished")
    now = share(source, repeated, whole, windows=LONG)
    before = usual(source, repeated, whole)
    limit = (before.hi if before else 0.0) + REPEATED_POINTS
    if now is None or now.lo <= limit:
        return None
    was = f", in the {units.duration(REFERENCE_SECONDS)} before {before.text}" if before else ""
    said = f"{now.text} of the answers were ended because they go round in circles{was}."
    return condition(now, "requests_finished", limit, said, Severity.WARNING)


def _faults(quality: SourceView) -> Condition:
    """Tell which fault appeared in answers that had it not, in the last passes running."""
    passes = finished(quality)
    first, _ = baseline(quality, passes, _spoilt)
    if first is None:
        return unknown("no pass over the questions of --quality has ended yet")
    later = [each for each in passes if each.began > first.ended][-RUNNING:]
    if len(later) < RUNNING:
        return unknown(f"needs {RUNNING} passes of --quality after the first, or after a change; {len(later)} so far")
    for fault, words in _NAMES.items():
        changes = [appeared(first.graded, each.graded, fault) for each in later]
        newest = changes[-1]
        if newest is not None and all(each is not None and each.p < P for each in changes):
            return _appeared(newest, words)
    lengths = [lengthened(first.graded, each.graded) for each in later]
    newest_length = lengths[-1]
    if newest_length is not None and any(all(map(beyond, lengths)) for beyond in (_longer, _shorter)):
        return _of_another_length(newest_length)
    return HOLDS_NOT


def _longer(found: Interval | None) -> bool:
    return found is not None and found.n >= MIN_LENGTHS and found.lo > LENGTHS[1]


def _shorter(found: Interval | None) -> bool:
    return found is not None and found.n >= MIN_LENGTHS and found.hi < LENGTHS[0]


def _of_another_length(found: Interval) -> Condition:
    times = f"{units.digits(found.value, 2)} times ({units.digits(found.lo, 2)} to {units.digits(found.hi, 2)})"
    text = f"the same questions get answers {times} as long as before"
    return Condition(
        holds=True,
        summary=text,
        severity=Severity.WARNING,
        description=f"{text[0].upper()}{text[1:]}, over {found.n} of them; so it was {RUNNING} times running.",
        evidence=(
            Evidence(
                "output_tokens",
                found.value,
                "1",
                threshold=LENGTHS[1] if found.value > 1 else LENGTHS[0],
                count=float(found.n),
                text=text,
                lo=found.lo,
                hi=found.hi,
            ),
        ),
    )


def _spoilt(first: Batch, later: Batch) -> bool:
    """Tell whether a fault appeared from one pass to another, or the answers are of another length."""
    changes = (appeared(first.graded, later.graded, fault) for fault in _NAMES)
    length = lengthened(first.graded, later.graded)
    return any(each is not None and each.p < P for each in changes) or _longer(length) or _shorter(length)


def _appeared(found: Change, words: str) -> Condition:
    text = f"{found.worse} of {found.pairs} answers {words} that did not before"
    interval = found.difference
    said = f"{text}, p {units.digits(found.p, 1)}; so it was {RUNNING} times running."
    return Condition(
        holds=True,
        summary=text,
        severity=Severity.WARNING,
        description=said,
        evidence=(
            Evidence(
                "faults",
                -found.points,
                "ratio",
                threshold=0.0,
                count=float(found.pairs),
                text=text,
                lo=-interval.hi,
                hi=-interval.lo,
            ),
        ),
        affected=found.worse / found.pairs,
    )


DRIFT = Rule(
    id="answer_drift",
    title="Answers of another kind",
    of=Source.SERVER,
    condition=answer_drift,
    live=Timing(0.0, 60.0),
    page=Timing(0.0, 3600.0),
    source=(
        "McNemar p < 0.01 in two passes running, or 1 point of ended loops above the usual: our defaults; or outside "
        "90-110 % of the length (MLPerf Inference) in two passes running"
    ),
    impact="medium: these answers help nobody",
    mitigation=(
        "Compare chat template, system prompt, sampling and version with those of before; roll back what was changed."
    ),
    event=True,
    every=10.0,
)
