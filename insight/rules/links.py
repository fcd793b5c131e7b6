"""Are the links of a GPU as fast, and as many, as they should be: PCIe and NVLink."""

from __future__ import annotations

from typing import TYPE_CHECKING

from insight.rules.placement import name
from insight.rules.rule import HOLDS_NOT, Condition, Rule, Timing, unknown
from metrics import units
from metrics.finding import Evidence, Severity
from metrics.sample import Source
from metrics.series import series

if TYPE_CHECKING:
    from insight.settings import Settings
    from metrics.view import SourceView

REPLAYS_A_MINUTE = 8.0
MINUTE = 60.0
LOAD_SECONDS = 20.0
"""The link is read every tenth poll, and goes to its full speed only under load: so long has there to be load."""
LOAD = 0.3
CRC_A_SECOND, MANY_CRC_A_SECOND = 1.0, 100.0
LINKS_SECONDS = 3600.0
_HARD = ("replay", "recovery")


def pcie_degraded(source: SourceView, settings: Settings, firing: bool) -> Condition:
    """Tell whether the PCIe link is narrower or slower than it could be under load, or sends packets again.

    At rest a link goes down to its first generation to save power, which is no fault.
    """
    del settings, firing
    newest = source.history.newest_ok
    gauges = newest.gauges if newest else {}
    pairs = [(each, gauges.get(f"pcie_{each}"), gauges.get(f"pcie_{each}_max")) for each in ("width", "generation")]
    again = _replayed(source)
    if again is None and all(most is None for _, _, most in pairs):
        return unknown("the driver does not tell how fast the PCIe link is")
    low = [(each, now, most) for each, now, most in pairs if now is not None and most is not None and now < most]
    if low and not _loaded(source):
        low = []
    if not low and (again is None or again.value is None or again.value <= REPLAYS_A_MINUTE):
        return HOLDS_NOT
    found = [
        Evidence(
            f"pcie_{each}",
            now,
            "1",
            threshold=most,
            text=f"PCIe {each} {units.count(now)} of {units.count(most)} under load",
        )
        for each, now, most in low
    ]
    if again is not None and again.value is not None and again.value > REPLAYS_A_MINUTE:
        found.append(again)
    return _condition(source, found, Severity.WARNING)


def _replayed(source: SourceView) -> Evidence | None:
    """Count the packets that were sent again in the last minute: NVIDIA's limit is a minute's, not a second's."""
    if "pcie_replays" not in source.history.moved:
        return None
    if (source.still_for("pcie_replays") or 0.0) > MINUTE:
        return Evidence("pcie_replays", 0.0, "1")
    grown = source.increase("pcie_replays", MINUTE)
    if grown is None:
        return None
    text = f"{units.count(grown.value)} PCIe packets sent again in {units.duration(grown.seconds)}"
    return Evidence(
        "pcie_replays", grown.value, "1", threshold=REPLAYS_A_MINUTE, window_seconds=grown.seconds, text=text
    )


def _loaded(source: SourceView) -> bool:
    stats = source.gauge_over("utilisation", LOAD_SECONDS)
    return stats is not None and stats.mean > LOAD and stats.seconds >= LOAD_SECONDS / 2


def nvlink_degraded(source: SourceView, settings: Settings, firing: bool) -> Condition | None:
    """Tell whether NVLink links are down, or their errors grow. A GPU without NVLink is not asked."""
    del settings, firing
    active = source.gauge("nvlink_links_active")
    if active is None:
        return None
    found, severity = [], Severity.WARNING
    most = _most_links(source, active)
    if active < most:
        severity = Severity.CRITICAL
        text = f"{units.count(active)} of {units.count(most)} NVLink links are up"
        found.append(Evidence("nvlink_links_active", active, "1", threshold=most, text=text))
    for kind in (*_HARD, "crc"):
        each = _errors(source, kind)
        if each is None:
            continue
        evidence, many = each
        found.append(evidence)
        severity = Severity.CRITICAL if kind in _HARD or many else severity
    return _condition(source, found, severity) if found else HOLDS_NOT


def _most_links(source: SourceView, active: float) -> float:
    """Find how many links there should be: as its equals have, or alone as many as it had within the hour.

    To look through an hour takes half a millisecond, which eight GPUs would pay all the time.
    """
    model = source.facts.get("name")
    others = (each for each in source.view.all(Source.GPU) if each.facts.get("name") == model and each.id != source.id)
    equals = [value for each in others if (value := each.gauge("nvlink_links_active")) is not None]
    past = None if equals else source.gauge_over("nvlink_links_active", LINKS_SECONDS)
    return max([active, *equals, *([past.peak] if past else [])])


def _errors(source: SourceView, kind: str) -> tuple[Evidence, bool] | None:
    """Count the errors of one kind in the last minute, where there are too many; True where there are very many."""
    counter = series("nvlink_errors", kind=kind)
    if source.view.mono - source.history.moved.get(counter, -MINUTE) > MINUTE:
        return None
    grown = source.increase_of([counter], MINUTE)
    if grown is None or not grown.value or grown.rate is None:
        return None
    if kind == "crc" and grown.rate < CRC_A_SECOND:
        return None
    text = f"{units.count(grown.value)} NVLink {kind} errors in {units.duration(grown.seconds)}"
    limit = CRC_A_SECOND * grown.seconds if kind == "crc" else 1.0
    evidence = Evidence("nvlink_errors", grown.value, "1", threshold=limit, window_seconds=grown.seconds, text=text)
    return evidence, grown.rate >= MANY_CRC_A_SECOND


def _condition(source: SourceView, found: list[Evidence], severity: Severity) -> Condition:
    said = "; ".join(each.text for each in found)
    return Condition(
        holds=True,
        summary=f"{name(source)}: {said}",
        severity=severity,
        description=f"{name(source)}: {said}.",
        evidence=tuple(found),
    )


PCIE = Rule(
    id="pcie_degraded",
    title="PCIe link degraded",
    of=Source.GPU,
    condition=pcie_degraded,
    live=Timing(10.0, 30.0),
    page=Timing(60.0, 600.0),
    source="over 8 replays a minute: DCGM; narrower or slower than the link could be, under load: our default",
    impact="low: felt where KV cache, weights or tensor parallelism go over PCIe",
    mitigation="Reseat the board or its riser, look for firmware updates; place what talks much on GPUs with NVLink.",
    event=True,
)
NVLINK = Rule(
    id="nvlink_degraded",
    title="NVLink degraded",
    of=Source.GPU,
    condition=nvlink_degraded,
    live=Timing(0.0, 60.0),
    page=Timing(0.0, 600.0),
    source="any replay or recovery in a minute, 100 CRC errors/s critical, 1/s a warning: DCGM; a link down: NVIDIA",
    impact="high: tensor parallelism sends every layer over these links",
    mitigation="Drain the host, keep the output of nvidia-bug-report.sh, reset the GPUs; if it stays, send it in.",
    every=5.0,
    event=True,
)
