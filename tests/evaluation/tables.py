"""What was measured, as the Markdown of the README."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.evaluation.labels import CRITICAL_SECONDS, LED, MEDIAN_SECONDS, OWN_PACE, PRECISION, RECALL, scores

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tests.evaluation.labels import Run, Score


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def _head(*cells: str) -> list[str]:
    return [_row(*cells), _row(*("---" for _ in cells))]


def rules_table(runs: Sequence[Run]) -> list[str]:
    """One row for each risk, and one for all of them."""
    found = scores(runs)
    lines = _head("risk", "scenarios", "found", "false alarms", "to firing: median", "p95", "limit", "")
    lines += [_risk_row(each) for each in found]
    told = sum(each.found for each in found)
    expected = sum(each.runs for each in found)
    right, wrong = sum(each.true for each in found), sum(each.false for each in found)
    recall = told / expected if expected else 1.0
    precision = right / (right + wrong) if right + wrong else 1.0
    paced = sorted(s.seconds for run in runs for s in run.found if s.risk not in OWN_PACE)
    critical = sorted(s.seconds for run in runs for s in run.found if s.risk not in OWN_PACE and s.critical)
    return [
        *lines,
        "",
        f"Recall {recall:.3f} (to reach {RECALL}), precision {precision:.3f} (to reach {PRECISION}), {len(runs)} runs.",
        f"Median to firing {_seconds(_middle(paced))} (at most {MEDIAN_SECONDS:.0f} s).",
        *_verdicts(runs),
        f"Of what fires as critical {_seconds(_middle(critical))} (at most {CRITICAL_SECONDS:.0f} s).",
        *(f"`{risk}` has a pace of its own: {why}." for risk, why in OWN_PACE.items()),
        "`monitor_degraded` is about this program itself: no machine shows it, and it has no scenario.",
    ]


def _verdicts(runs: Sequence[Run]) -> Iterator[str]:
    told = [run.led for run in runs if run.led is not None]
    if told:
        share = sum(told) / len(told)
        yield (
            f"At the end the verdict names what has to be found, and not what follows from it, in {share:.3f} of "
            f"{len(told)} runs (to reach {LED})."
        )


def _middle(values: Sequence[float]) -> float | None:
    return values[len(values) // 2] if values else None


def _risk_row(score: Score) -> str:
    recall = "" if score.recall is None else f"{score.found} of {score.runs}"
    limit = "" if not score.runs else "own" if score.limit is None else f"{score.limit:.0f} s"
    return _row(
        f"`{score.risk}`",
        ", ".join(score.scenarios),
        recall,
        str(score.false),
        _seconds(score.median),
        _seconds(score.p95),
        limit,
        "" if score.holds else "missed",
    )


def _seconds(value: float | None) -> str:
    return "" if value is None else f"{value:.0f} s"


def health_table(runs: Sequence[Run]) -> list[str]:
    """One row for each server with which nothing is wrong."""
    names = list(dict.fromkeys(run.scenario for run in runs))
    lines = _head("nothing is wrong", "hours", "fired")
    for name in names:
        mine = [run for run in runs if run.scenario == name]
        lines.append(_row(name, str(len(mine)), str(sum(len(run.wrong) for run in mine))))
    return lines


def mistakes(runs: Sequence[Run]) -> Iterator[str]:
    """Tell each miss, false alarm and wrong verdict: where, with which seed, when, and what the rule said."""
    for run in runs:
        for risk in run.missed:
            yield f"- {run.scenario}, seed {run.seed}: `{risk}` was not found"
        for each in run.wrong:
            place = f"{run.scenario}, seed {run.seed}, second {each.at:.0f}"
            yield f"- {place}: `{each.risk}` of {each.source}: {each.said}"
        if run.led is False:
            yield f"- {run.scenario}, seed {run.seed}: the verdict names `{run.first}`"
