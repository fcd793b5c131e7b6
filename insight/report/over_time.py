"""How it came to this: the graphs of the servers and of the GPUs, all on one clock."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from msgspec import Struct

from insight.report.document import Block, Chart, Heading, Line, Moment, Paragraph
from insight.report.words import gpu_name, quantity_name, sentence, subject, titled
from metrics import units

if TYPE_CHECKING:
    from collections.abc import Iterator

    from metrics.observed import Target, Track
    from metrics.snapshot import Snapshot

MOST_SERVERS = 4
"""So many servers have their graphs, those with a firing risk first: the CSV has all of them."""
MOST_GPUS = 16
MOST_MOMENTS = 12
"""Vertical lines in a graph; the newest."""


class _Graph(Struct, frozen=True):
    title: str
    lines: dict[str, str]
    """Name of the track to name of the line."""
    objective: str = ""
    """The quantity whose objective it shows."""


_OF_SERVER = (
    _Graph("TTFT", {"ttft_p50": "p50", "ttft_p95": "p95"}, "ttft_seconds"),
    _Graph("ITL", {"itl_p50": "p50", "itl_p95": "p95"}, "itl_seconds"),
    _Graph("tokens", {"output_tokens_rate": "output", "prompt_tokens_rate": "prompt"}),
    _Graph("requests finished", {"requests_rate": ""}),
    _Graph("requests", {"requests_running": "running", "requests_waiting": "waiting"}),
    _Graph("KV cache in use", {"kv_cache_usage": ""}),
)
_OF_GPUS = ("sm_clock_hertz", "power_watts", "temperature_celsius", "utilisation", "memory_used_bytes")


def over_time(snapshot: Snapshot, targets: list[Target]) -> list[Block]:
    """Draw what the servers, in this order, and the GPUs did; nothing where no graph was kept."""
    moments = tuple(_moments(snapshot))
    blocks: list[Block] = []
    several = len(targets) > 1
    drawn = [target for target in targets if target.tracks]
    for target in drawn[:MOST_SERVERS]:
        blocks += _server(snapshot, target, moments, several=several)
    if len(drawn) > MOST_SERVERS:
        blocks.append(Paragraph(f"{units.count(len(drawn) - MOST_SERVERS)} more servers have no graphs here."))
    blocks += _gpus(snapshot, moments)
    if not blocks:
        return []
    return [Heading(3, "How it came to this"), *blocks, Paragraph(_legend(snapshot, moments))]


def _server(snapshot: Snapshot, target: Target, moments: tuple[Moment, ...], *, several: bool) -> Iterator[Chart]:
    limits = {each.quantity: each.limit for each in snapshot.objectives if each.q == 0.95}
    for graph in _OF_SERVER:
        lines = [Line(name, found) for track, name in graph.lines.items() if (found := target.tracks.get(track))]
        if not any(_seen(line.track) for line in lines):
            continue
        title = titled(graph.title, target.url) if several else graph.title
        unit = lines[0].track.unit
        yield Chart(title, unit, tuple(lines), _within(moments, lines[0].track), limits.get(graph.objective))


def _gpus(snapshot: Snapshot, moments: tuple[Moment, ...]) -> Iterator[Chart]:
    for quantity in _OF_GPUS:
        found = [(gpu_name(gpu), gpu.tracks[quantity]) for gpu in snapshot.gpus if quantity in gpu.tracks]
        lines = tuple(Line(name, track) for name, track in found[:MOST_GPUS] if _seen(track))
        if lines:
            title = f"GPU {quantity_name(quantity)}"
            yield Chart(title, lines[0].track.unit, lines, _within(moments, lines[0].track))


def _seen(track: Track) -> bool:
    return any(value is not None for value in track.values)


def _moments(snapshot: Snapshot) -> list[Moment]:
    """List events and the begin of every firing, oldest first."""
    found = [Moment(event.wall, sentence(f"{event.kind}: {event.text}")) for event in snapshot.events]
    for risk in snapshot.risks:
        title = titled(risk.title, subject(snapshot, risk.target))
        found += [Moment(datetime.fromisoformat(begin).timestamp(), f"{title} begins.") for begin, _ in risk.episodes]
    return sorted(found, key=lambda each: each.wall)


def _within(moments: tuple[Moment, ...], track: Track) -> tuple[Moment, ...]:
    begin = track.end - len(track.values) * track.step
    return tuple(each for each in moments if begin <= each.wall <= track.end)[-MOST_MOMENTS:]


def _legend(snapshot: Snapshot, moments: tuple[Moment, ...]) -> str:
    looks = [each.quantile_seconds for each in snapshot.targets if each.quantile_seconds is not None]
    said = "Times are UTC; where there is a gap, nothing was seen."
    if looks:
        said += (
            f" Each point of a quantile looks back over {units.duration(max(looks))} and is interpolated in a bucket"
            " of the server's histogram, whose bounds stand in the table below."
        )
    if moments:
        said += " Drawn, vertical lines are events and the beginnings of risks that fired: the timeline names them."
    return said
