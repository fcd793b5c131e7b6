"""To look things up: every number with its window, source and meaning; the keys; how to read the screen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from metrics import units
from metrics.quantity import QUANTITIES, Kind
from tui import words
from tui.panes import capacity, since
from tui.panes.page import INDENT, heading, text
from tui.rows import cells, crop, fit, fit_row, wrap
from tui.view import chosen_target

if TYPE_CHECKING:
    from metrics.observed import Measure
    from metrics.snapshot import Snapshot
    from tui.rows import Row
    from tui.view import View

KEYS = (
    ("↑ ↓", "choose a risk, or below the last one all that do not hold; a GPU; on a page: scroll"),
    ("enter", "go deeper: why this risk, this GPU, what a number means"),
    ("esc", "come back"),
    ("tab  shift+tab", "choose the pane that ↑ ↓ and enter speak of: risks, GPUs, numbers"),
    ("1-9  [ ]", "choose the server, where there are several; else 1-3 choose the pane"),
    ("+ -", "longer or shorter window: 1, 5, 15 min, 1, 6, 24 h"),
    ("p  space", "pause the picture; measuring goes on"),
    ("e", "export a report of this moment; the footer says where"),
    ("m", "mark this moment: a line then says what came of it; `compare --mark` judges it in a recording"),
    ("ctrl+z", "suspend; `fg` comes back"),
    ("q  ctrl+c", "quit"),
)

NOTES = """\
Latencies are the server's own, from its histograms: 20-40 s means that the quantile lies in that bucket, ~33 s is \
interpolated within it, >160 s lies above the last bucket. A quantile needs enough requests (20 for p95, 100 for p99); \
with fewer, and wherever something is not known, stands —.
Head values, the grid and the scores speak of the window named at the right of the scores, `67 s/5 min` while it \
fills; `now` is the newest value, of the last 5 s. Each point of a latency graph looks back over a minute or so. \
A gap in a graph is a time without an answer or without a request; a dotted upright line is an event: a mark, a \
restart, an XID.
The queue, prefill and decode times beside the graphs are means over the window, as are prompt and output lengths.
Load is the share of the time in which requests make the steps of the engine longer; headroom is how much more of the \
same traffic fits before its capacity or the ITL objective is reached. Behind a number stand its interval (9 of 10 \
times the truth is inside) and its grade.
Dim numbers are old or unknown. Colour marks what a firing risk rests on, and is always said in words as well. \
Expected effects carry their basis and grade: A measured, B model, C bound, D words only."""

_EXPLAINED = (
    "ttft_seconds",
    "itl_seconds",
    "tpot_seconds",
    "e2e_seconds",
    "queue_seconds",
    "prefill_seconds",
    "kv_cache_usage",
    "preemptions",
    "prompt_tokens_cached",
    "utilisation",
    "pressure_io",
    "pressure_memory",
)


def numbers(snapshot: Snapshot, view: View, width: int) -> list[Row]:
    """List every number of the server with its window, its source and what it means."""
    target = chosen_target(snapshot, view)
    rows = [heading("NUMBERS", width, f"over {units.duration(target.window_seconds)}" if target is not None else "")]
    if target is None or not target.quantities:
        return [*rows, fit_row((("   nothing was measured yet", "dim"),), width)]
    rows = [*since.in_full(snapshot, target, width), *capacity.in_full(snapshot, target, width), *rows]
    name = min(26, max(8, width // 3))
    for key, measure in sorted(target.quantities.items()):
        known = QUANTITIES.get(key)
        said = _said(measure, known.kind if known else Kind.GAUGE)
        rows.append(fit_row(((f"   {fit(words.quantity(key), name)} ", "plain"), (said, "bold")), width))
        n = f" · n = {units.count(measure.count)}" if measure.count is not None else ""
        rows += text(f"{known.meaning if known else key} · from the {measure.source}{n}", width, "dim", INDENT + 2)
    rows.append(heading("FACTS", width))
    for key, fact in sorted(target.facts.items()):
        rows.append(
            fit_row(
                ((f"   {fit(key.replace('_', ' '), name)} ", "dim"), (crop(fact, max(0, width - name - 5)), "plain")),
                width,
            )
        )
    return rows


def _said(measure: Measure, kind: Kind) -> str:
    if kind is Kind.HISTOGRAM:
        quantiles = " ".join(
            f"{q} {units.bounds(found, measure.unit)}"
            for q, found in (("p50", measure.p50), ("p95", measure.p95), ("p99", measure.p99))
        )
        return f"mean {units.value(measure.mean, measure.unit)} {quantiles}"
    if kind is Kind.COUNTER:
        return f"{units.rate(measure.rate, measure.unit)}, + {units.count(measure.increase)}"
    newest, mean, most = (units.value(each, measure.unit) for each in (measure.value, measure.mean, measure.max))
    return f"{newest}, mean {mean}, max {most}"


def help_rows(width: int) -> list[Row]:
    """List the keys, how to read the screen, and what the numbers mean."""
    rows = [heading("KEYS", width)]
    for key, what in KEYS:
        rows += [
            fit_row(((f"   {fit(key if not index else '', 16)}", "bold"), (line, "plain")), width)
            for index, line in enumerate(wrap(what, max(1, width - 20)))
        ]
    rows.append(heading("HOW TO READ IT", width))
    rows += text(NOTES, width)
    rows.append(heading("THE NUMBERS", width))
    label = max(cells(words.quantity(name)) for name in _EXPLAINED) + 2
    for name in _EXPLAINED:
        rows += [
            fit_row(((f"   {fit(words.quantity(name) if not index else '', label)}", "plain"), (line, "dim")), width)
            for index, line in enumerate(wrap(QUANTITIES[name].meaning, max(1, width - label - 4)))
        ]
    return rows
