"""What other programs measured: the result files of lm-evaluation-harness and of Inspect, as decoded JSON.

`results_*.json` of lm-eval (0.4): `results.<task>["<metric>,<filter>"]`, its `..._stderr,...` beside it, and
`n-samples.<task>.effective`. Logs of Inspect (version 2, `--log-format json`): `results.scores[].metrics.<name>.value`,
with `stderr` among the metrics. What is not as expected is left out; a file of neither kind is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from insight.quality.statistics import Z95, wilson
from metrics.observed import Measure
from metrics.quantity import MOST

_SHARES = frozenset(("acc", "acc_norm", "accuracy", "exact_match", "em", "pass@1", "prompt_level_strict_acc"))
"""Metrics that count right answers: their interval is Wilson's. That of any other is value +- 1.96 standard errors."""
_SPREADS = frozenset(("stderr", "std", "var"))
_LONGEST_NAME = 200


def read_results(document: object) -> dict[str, Measure]:
    """Read a result file of either program, by task and metric. Raises ValueError, in one line, where it is neither."""
    found = _mapping(document)
    results = _mapping(found.get("results"))
    if "eval" in found and isinstance(results.get("scores"), list):
        measures = _inspect(found, results)
    elif results and all(isinstance(each, Mapping) for each in results.values()):
        measures = _lm_eval(found, results)
    else:
        raise ValueError("it is neither a result file of lm-eval (results_*.json) nor a JSON log of Inspect")
    if not measures:
        raise ValueError("it holds no result: did the evaluation end?")
    return {_printable(name): measure for name, measure in measures.items()}


def _lm_eval(found: Mapping[str, Any], results: Mapping[str, Any]) -> dict[str, Measure]:
    measures: dict[str, Measure] = {}
    for task, row in results.items():
        counts = _mapping(_mapping(found.get("n-samples")).get(task))
        n = _count(counts.get("effective", counts.get("original")))
        for key, value in row.items():
            metric, comma, variant = key.partition(",")
            number = _number(value)
            if number is None or not comma or metric.endswith("_stderr"):
                continue
            spread = _number(row.get(f"{metric}_stderr,{variant}"))
            name = f"{task}/{metric}" + ("" if variant == "none" else f",{variant}")
            measures[name] = _measure(metric, number, n, spread)
    return measures


def _inspect(found: Mapping[str, Any], results: Mapping[str, Any]) -> dict[str, Measure]:
    task = str(_mapping(found.get("eval")).get("task", "inspect")).rpartition("/")[2]
    measures: dict[str, Measure] = {}
    for score in map(_mapping, results["scores"]):
        metrics = {
            str(name): _number(_mapping(each).get("value")) for name, each in _mapping(score.get("metrics")).items()
        }
        scored = _count(score.get("scored_samples"))
        n = scored if scored is not None else _count(results.get("completed_samples"))
        for name, value in metrics.items():
            if value is not None and name not in _SPREADS:
                measures[f"{task}/{score.get('name', 'score')}/{name}"] = _measure(
                    name, value, n, metrics.get("stderr")
                )
    return measures


def _measure(metric: str, value: float, n: int | None, spread: float | None) -> Measure:
    """Give a value the interval that its kind allows; none where neither a count nor a standard error is known."""
    lo = hi = None
    share = metric in _SHARES and 0 <= value <= 1
    interval = wilson(round(value * n), n) if share and n else None
    # A share of a weighted or grouped metric is no count of hits: then it is left to the standard error.
    if interval is not None and n and abs(value * n - round(value * n)) < 0.01:
        lo, hi = interval.lo, interval.hi
    elif spread is not None and spread >= 0:
        lo, hi = value - Z95 * spread, value + Z95 * spread
        if share:
            lo, hi = max(0.0, lo), min(1.0, hi)
    unit = "ratio" if share else "1"
    return Measure(unit, source="imported", value=value, count=None if n is None else float(n), lo=lo, hi=hi)


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _number(value: object) -> float | None:
    """Read a number; None where it is none, or larger than anything that is measured."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if -MOST <= value <= MOST else None  # false for NaN


def _count(value: object) -> int | None:
    number = _number(value)
    return int(number) if number is not None and number >= 1 else None


def _printable(name: str) -> str:
    """Keep a name out of somebody else's file from acting on a terminal."""
    return "".join(filter(str.isprintable, name))[:_LONGEST_NAME]
