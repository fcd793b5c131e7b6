"""One level deeper: why a risk, one GPU, every number with its meaning, the help. The frame scrolls what is long."""

from __future__ import annotations

from typing import TYPE_CHECKING

from metrics import units
from metrics.quantity import QUANTITIES, Kind
from metrics.snapshot import RiskState
from tui import words
from tui.panes.risks import evidence_basis, evidence_text
from tui.plot import Grid, Series, Threshold, plot
from tui.rows import cells, crop, fit, fit_row, spread, wrap
from tui.view import advice_for, chosen_gpu, chosen_risk, chosen_target, severity_style

if TYPE_CHECKING:
    from metrics.snapshot import Evidence, Gpu, Measure, Recommendation, Risk, Snapshot, Track
    from tui.palette import StyleName
    from tui.rows import Row
    from tui.view import View

_INDENT = 3
KEYS = (
    ("↑ ↓", "choose a risk or a GPU; on a page: scroll"),
    ("enter", "go deeper: why this risk, this GPU, what a number means"),
    ("esc", "come back"),
    ("tab  shift+tab", "choose the pane that ↑ ↓ and enter speak of: risks, GPUs, numbers"),
    ("1-9  [ ]", "choose the server, where there are several; else 1-3 choose the pane"),
    ("+ -", "longer or shorter window: 1, 5, 15 min, 1, 6, 24 h"),
    ("p  space", "pause the picture; measuring goes on"),
    ("e", "export a report of this moment; the footer says where"),
    ("ctrl+z", "suspend; `fg` comes back"),
    ("q  ctrl+c", "quit"),
)
NOTES = """\
Latencies are the server's own, from its histograms: 20-40 s means that the quantile lies in that bucket, ~33 s is \
interpolated within it, >160 s lies above the last bucket. A quantile needs enough requests (20 for p95, 100 for p99); \
with fewer, and wherever something is not known, stands —.
Head values, the grid and the scores speak of the window named at the right of the scores; each point of a latency \
graph looks back over a minute or so. A gap in a graph is a time without an answer or without a request.
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


def page(snapshot: Snapshot, view: View, width: int, height: int) -> list[Row]:
    """Draw the page that is open, as long as it is."""
    if view.page == "why":
        return why(snapshot, view, width, height)
    if view.page == "gpu":
        return gpu_page(snapshot, view, width, height)
    if view.page == "numbers":
        return numbers_page(snapshot, view, width)
    return help_rows(width)


def _heading(text: str, width: int, right: str = "") -> Row:
    return (
        spread(((f" {text}", "bold"),), ((f"{right} ", "dim"),), width)
        if right
        else fit_row(((f" {text}", "bold"),), width)
    )


def _text(text: str, width: int, style: StyleName = "plain", indent: int = _INDENT) -> list[Row]:
    return [fit_row(((" " * indent, "plain"), (line, style)), width) for line in wrap(text, max(1, width - indent - 1))]


def why(snapshot: Snapshot, view: View, width: int, height: int) -> list[Row]:
    """Show one risk whole: what it is, what it rests on, what to do, with what effect."""
    risk = chosen_risk(snapshot, view)
    if risk is None:
        return [fit_row(((" no risk is open now", "plain"),), width)]
    fires = risk.state is RiskState.FIRING
    word = risk.severity.value.upper() if fires else risk.state.value.upper()
    badges: dict[StyleName, StyleName] = {"critical": "badge_critical", "warning": "badge_warning"}
    style: StyleName = badges.get(severity_style(risk.severity), "badge") if fires else "badge"
    since = f"since {words.clock_of(risk.since)}" + (
        f", {units.duration(risk.seconds_in_state)}" if risk.seconds_in_state else ""
    )
    fires_in = f", fires in {units.duration(risk.fires_in_seconds)}" if risk.fires_in_seconds is not None else ""
    rows: list[Row] = [
        spread(
            ((" ", "plain"), (f" {word} ", style), ("  ", "plain"), (risk.title, "bold")),
            ((f" {since}{fires_in} ", "dim"),),
            width,
        ),
        fit_row(((f"   likelihood {risk.likelihood} · impact {risk.impact} · {risk.target or ''}", "dim"),), width),
        *_text(risk.description, width),
        _heading("EVIDENCE", width),
    ]
    rows += _evidence_rows(risk, width)
    rows += _graphs_of(snapshot, view, risk, width, height)
    if risk.mitigation:
        rows += [_heading("MITIGATION", width), *_text(risk.mitigation, width)]
    for one in advice_for(snapshot, risk):
        rows += _recommendation(one, width)
    if len(risk.episodes) > 1:
        rows.append(_heading("EPISODES", width))
        for begin, end in risk.episodes[-5:]:
            until = words.clock_of(end) if end else "now"
            rows.append(fit_row(((f"   {words.clock_of(begin)} to {until}", "plain"),), width))
    return rows


def _evidence_rows(risk: Risk, width: int) -> list[Row]:
    rows: list[Row] = []
    for one in risk.evidence:
        basis = evidence_basis(one)
        said = evidence_text(one)
        if one.text and one.value is not None:
            limit = f", limit {units.value(one.threshold, one.unit)}" if one.threshold is not None else ""
            basis = f"{words.quantity(one.quantity)} {units.value(one.value, one.unit)}{limit}" + (
                f", {basis}" if basis else ""
            )
        if cells(said) + cells(basis) + _INDENT + 3 <= width:
            rows.append(spread(((" " * _INDENT + said, "plain"),), ((f" {basis} ", "dim"),), width))
        else:
            rows += [*_text(said, width), *_text(basis, width, "dim", _INDENT + 2)]
    return rows or [fit_row((("   none given", "dim"),), width)]


_TRACKS = {
    "ttft_seconds": ("ttft_p95", "TTFT p95"),
    "itl_seconds": ("itl_p95", "ITL p95"),
    "requests_waiting": ("requests_waiting", "requests waiting"),
    "requests_running": ("requests_running", "requests running"),
    "kv_cache_usage": ("kv_cache_usage", "KV cache"),
    "requests_finished": ("requests_rate", "requests finished"),
    "output_tokens_total": ("output_tokens_rate", "output tokens"),
    "prompt_tokens_total": ("prompt_tokens_rate", "prompt tokens"),
}


def _graphs_of(snapshot: Snapshot, view: View, risk: Risk, width: int, height: int) -> list[Row]:
    """Draw what the evidence speaks of on one clock, two graphs side by side, as many as there is room for."""
    found: list[tuple[str, Track, Evidence]] = []
    for one in risk.evidence:
        tracks = next((target.tracks for target in snapshot.targets if target.id == risk.target), None)
        tracks = tracks or next((gpu.tracks for gpu in snapshot.gpus if f"gpu:{gpu.uuid}" == risk.target), {})
        name, title = _TRACKS.get(one.quantity, (one.quantity, words.quantity(one.quantity)))
        if name in tracks:
            found.append((title, tracks[name], one))
    if not found or height < 18 or width < 30:
        return []
    across = 2 if width >= 76 and len(found) > 1 else 1
    tall = 8 if height >= 30 else 6
    size = (width - across + 1) // across
    rows: list[Row] = []
    for at in range(0, min(len(found), 4 if height >= 30 else across), across):
        drawn = [_graph(title, track, one, view, size, tall) for title, track, one in found[at : at + across]]
        if len(drawn) == 1:
            rows += [fit_row(row, width) for row in drawn[0]]
        else:
            rows += [fit_row((*a, ("│", "dim"), *b), width) for a, b in zip(*drawn, strict=True)]
    return rows


def _graph(title: str, track: Track, one: Evidence | None, view: View, width: int, height: int) -> list[Row]:
    scale, unit = {"ratio": (0.01, "%"), "Hz": (1e6, "MHz"), "bytes": (2.0**30, "GiB"), "1": (1.0, "")}.get(
        track.unit, (1.0, track.unit)
    )
    unit = "°C" if unit == "celsius" else unit
    limit = one.threshold if one is not None else None
    threshold = Threshold(limit, f"limit {units.digits(limit / scale)} {unit}".rstrip()) if limit is not None else None
    newest = next((value for value in reversed(track.values) if value is not None), None)
    head = spread(
        ((f" {title} {unit}".rstrip(), "bold"),), ((f"{units.value(newest, track.unit)} ", "series1"),), width
    )
    grid = Grid(track.end, track.step, scale, high=1.0 if track.unit == "ratio" else None)
    return [head, *plot([Series(track.values, "series1")], grid, width, height - 1, view.charset, threshold)]


def _recommendation(one: Recommendation, width: int) -> list[Row]:
    rows = [_heading(f"ADVICE  {one.title}", width)]
    if one.effect is not None:
        rows += _text(f"expected: {words.effect(one.effect)}", width)
        rows += _text("if " + "; ".join(one.effect.assumptions), width, "dim") if one.effect.assumptions else []
    for action in one.actions:
        rows += [
            fit_row((("   · " if not index else "     ", "plain"), (line, "plain")), width)
            for index, line in enumerate(wrap(action, max(1, width - 6)))
        ]
    for reason in one.because:
        rows += _text(f"because {reason}", width, "dim")
    return rows


def gpu_page(snapshot: Snapshot, view: View, width: int, height: int) -> list[Row]:
    """Show one GPU: who it is, its history on one clock, its processes, everything that the driver tells."""
    gpu = chosen_gpu(snapshot, view)
    if gpu is None:
        return [fit_row(((" no GPU is visible", "plain"),), width)]
    rows = [_heading(f"GPU {units.UNKNOWN if gpu.index is None else gpu.index}  {gpu.name or ''}", width, gpu.uuid)]
    if gpu.reason:
        rows += _text(gpu.reason, width, "warning")
    rows += _gpu_graphs(gpu, view, width, height)
    rows.append(_heading("PROCESSES", width))
    if gpu.processes is None:
        rows += _text("not visible: the driver tells processes only to some users", width, "dim")
    elif not gpu.processes:
        rows += _text("none", width, "dim")
    for process in gpu.processes or ():
        memory = units.value(process.memory_bytes, "bytes")
        who = f"{process.pid:>8}  {fit(process.user or units.UNKNOWN, 12)}"
        said = f"   {who} {memory:>10}  {process.name or units.UNKNOWN}"
        rows.append(fit_row(((said, "plain"),), width))
    rows.append(_heading("NUMBERS", width))
    facts = {
        "energy_joules": gpu.energy_joules,
        "memory_temperature_celsius": gpu.memory_temperature_celsius,
        "sm_clock_max_hertz": gpu.sm_clock_max_hertz,
        "ecc_uncorrected": gpu.ecc_uncorrected,
        **gpu.gauges,
    }
    for name, number in sorted(facts.items()):
        known = QUANTITIES.get(name.partition("{")[0])
        shown = units.value(number, known.unit if known else "1")
        rows.append(
            fit_row(((f"   {fit(words.quantity(name), min(36, width // 2))} ", "dim"), (shown, "plain")), width)
        )
    return rows


def _gpu_graphs(gpu: Gpu, view: View, width: int, height: int) -> list[Row]:
    names = [
        name for name in ("utilisation", "power_watts", "sm_clock_hertz", "temperature_celsius") if name in gpu.tracks
    ]
    if not names or height < 10 or width < 30:
        return []
    across = 2 if width >= 76 else 1
    tall = 8 if height >= 34 else 5
    size = (width - across + 1) // across
    rows: list[Row] = []
    for at in range(0, len(names), across):
        drawn = [
            _graph(
                words.quantity(name),
                gpu.tracks[name],
                None,
                view,
                size,
                tall,
            )
            for name in names[at : at + across]
        ]
        if len(drawn) == 1:
            rows += [fit_row(row, width) for row in drawn[0]]
        else:
            rows += [fit_row((*a, ("│", "dim"), *b), width) for a, b in zip(*drawn, strict=True)]
    return rows


def numbers_page(snapshot: Snapshot, view: View, width: int) -> list[Row]:
    """List every number of the server with its window, its source and what it means."""
    target = chosen_target(snapshot, view)
    rows = [_heading("NUMBERS", width, f"over {units.duration(target.window_seconds)}" if target is not None else "")]
    if target is None or not target.quantities:
        return [*rows, fit_row((("   nothing was measured yet", "dim"),), width)]
    name = min(26, max(8, width // 3))
    for key, measure in sorted(target.quantities.items()):
        known = QUANTITIES.get(key)
        meaning = known.meaning if known else ""
        kind = known.kind if known else Kind.GAUGE
        said = _said(measure, kind)
        rows.append(
            fit_row(
                ((f"   {fit(words.quantity(key), name)} ", "plain"), (said, "bold"), (f"  {measure.source}", "dim")),
                width,
            )
        )
        if meaning:
            rows += _text(meaning, width, "dim", _INDENT + 2)
    rows.append(_heading("FACTS", width))
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
        return f"mean {units.value(measure.mean, measure.unit)} {quantiles} n {units.count(measure.count)}"
    if kind is Kind.COUNTER:
        return f"{units.rate(measure.rate, measure.unit)}, + {units.count(measure.increase)}"
    newest, mean, most = (units.value(each, measure.unit) for each in (measure.value, measure.mean, measure.max))
    return f"{newest}, mean {mean}, max {most}"


def help_rows(width: int) -> list[Row]:
    """List the keys, how to read the screen, and what the numbers mean."""
    rows = [_heading("KEYS", width)]
    for key, what in KEYS:
        rows += [
            fit_row(((f"   {fit(key if not index else '', 16)}", "bold"), (line, "plain")), width)
            for index, line in enumerate(wrap(what, max(1, width - 20)))
        ]
    rows.append(_heading("HOW TO READ IT", width))
    rows += _text(NOTES, width)
    rows.append(_heading("THE NUMBERS", width))
    for name in _EXPLAINED:
        rows += [
            fit_row(((f"   {fit(words.quantity(name) if not index else '', 16)}", "plain"), (line, "dim")), width)
            for index, line in enumerate(wrap(QUANTITIES[name].meaning, max(1, width - 20)))
        ]
    return rows
