"""Which limit of its GPUs a server runs into: the bandwidth of their memory, or their arithmetic.

Neither is a fault: a GPU that is used well runs into one of them. So each is said only beside something that is amiss,
a queue or an objective that is missed, to tell what would help; it never fires alone.
"""

from __future__ import annotations

from statistics import fmean
from typing import TYPE_CHECKING

from msgspec import Struct

from insight.estimators import roofline
from insight.rules import latency, queue
from insight.rules.placement import gpus_of
from insight.rules.rule import Condition, Rule, Timing
from metrics import units
from metrics.finding import Evidence, Severity
from metrics.sample import Source

if TYPE_CHECKING:
    from insight.settings import Settings
    from metrics.view import SourceView

SECONDS = 30.0
"""Shares are means over so long: one poll falls into a prefill, the next between two."""
BANDWIDTH, BANDWIDTH_TO_LEAVE = 0.6, 0.55
FEW_SUMS = 0.3
"""With tensor cores that work for more of the time than this it is not the reading alone that takes it."""
ARITHMETIC, ARITHMETIC_TO_LEAVE = 0.5, 0.45
SLOW_DECODE = (queue.OVERLOADING, latency.ITL, latency.TPOT, latency.E2E)
SLOW_PREFILL = (*SLOW_DECODE, latency.TTFT)


class Shares(Struct, frozen=True):
    """Of what the GPUs of a server can do at most, on average over them."""

    bandwidth: float
    arithmetic: float
    """At least."""
    arithmetic_most: float
    source: str

    @property
    def text(self) -> str:
        """Both, as a sentence says them."""
        bandwidth, least, most = (
            units.value(each, "ratio") for each in (self.bandwidth, self.arithmetic, self.arithmetic_most)
        )
        arithmetic = least if least == most else f"{least} to {most}"
        return f"{bandwidth} of the memory bandwidth and {arithmetic} of the tensor cores in use ({self.source})"


def decode_bandwidth_bound(source: SourceView, settings: Settings, firing: bool) -> Condition | None:
    """Tell whether decoding that is too slow is bound by memory bandwidth. Not asked where no shares are known."""
    found, amiss = _look(source, settings, firing, SLOW_DECODE)
    if found is None:
        return None
    bound = found.bandwidth > (BANDWIDTH_TO_LEAVE if firing else BANDWIDTH) and found.arithmetic_most < FEW_SUMS
    if not (amiss and bound):
        return Condition(holds=False, summary=found.text)
    return _condition(
        found,
        Evidence("dram_utilisation", found.bandwidth, "ratio", BANDWIDTH, SECONDS, text=found.text),
        "Most of a step is reading weights and cache: fewer bytes a token, or more GPUs to read them, would shorten "
        "it; faster arithmetic would not.",
    )


def prefill_compute_bound(source: SourceView, settings: Settings, firing: bool) -> Condition | None:
    """Tell whether what is too slow is bound by arithmetic, prefill's. Not asked where no shares are known."""
    found, amiss = _look(source, settings, firing, SLOW_PREFILL)
    if found is None:
        return None
    if not (amiss and found.arithmetic > (ARITHMETIC_TO_LEAVE if firing else ARITHMETIC)):
        return Condition(holds=False, summary=found.text)
    return _condition(
        found,
        Evidence("tensor_utilisation", found.arithmetic, "ratio", ARITHMETIC, SECONDS, text=found.text),
        "Most of a step is arithmetic, that of prompts above all: fewer tokens to work on, fewer bits to do it in, or "
        "more GPUs would shorten it.",
    )


def _condition(found: Shares, evidence: Evidence, meaning: str) -> Condition:
    return Condition(
        holds=True,
        summary=found.text,
        severity=Severity.INFO,
        description=f"{found.text}, over {units.duration(SECONDS)}. {meaning}",
        evidence=(evidence,),
    )


def _look(
    server: SourceView, settings: Settings, firing: bool, explains: tuple[Rule, ...]
) -> tuple[Shares | None, bool]:
    """Tell the shares, and whether one of the findings holds that they would explain.

    The shares are those of the last poll unless one does: the windows of eight GPUs take 0.1 ms a poll.
    """
    gpus = gpus_of(server)
    found = _measured(gpus, None) or _reckoned(server, gpus)
    if found is None or not _amiss(explains, server, settings, firing):
        return found, False
    return _measured(gpus, SECONDS) or found, True


def _amiss(rules: tuple[Rule, ...], source: SourceView, settings: Settings, firing: bool) -> bool:
    found = (rule.condition(source, settings, firing) for rule in rules)
    return any(each is not None and each.holds for each in found)


def _measured(gpus: list[SourceView], seconds: float | None) -> Shares | None:
    """Tell the shares as the GPUs measure them, all of them: over a window, or by the last poll."""
    bandwidth, arithmetic = (
        [share for gpu in gpus if (share := _share(gpu, name, seconds)) is not None]
        for name in ("dram_utilisation", "tensor_utilisation")
    )
    if not gpus or len(bandwidth) < len(gpus) or len(arithmetic) < len(gpus):
        return None
    return Shares(fmean(bandwidth), fmean(arithmetic), fmean(arithmetic), "GPM")


def _share(gpu: SourceView, name: str, seconds: float | None) -> float | None:
    if seconds is None:
        return gpu.gauge(name)
    stats = gpu.gauge_over(name, seconds)
    return None if stats is None else stats.mean


def _reckoned(server: SourceView, gpus: list[SourceView]) -> Shares | None:
    """Divide what the engine reckons for one GPU by what such a GPU can do; its engines are taken to share evenly."""
    if not gpus or not server.parts("estimated_flops"):
        return None
    devices = {gpu.facts.get("name") for gpu in gpus}
    flops, moved = (server.rate(name, SECONDS) for name in ("estimated_flops", "estimated_dram_bytes"))
    if len(devices) != 1 or flops is None or moved is None:
        return None
    engines = len(server.parts("estimated_flops"))
    model = " ".join(server.facts.get(each, "") for each in ("model", "flag_quantization"))
    found = roofline.shares(devices.pop(), flops / engines, moved / engines, model)
    if found is None:
        return None
    return Shares(found.bandwidth, found.arithmetic, found.arithmetic_most, "as the engine reckons")


_PAGE = Timing(600.0, 0.0)
_LIVE = Timing(10.0, 0.0)
"""No sooner than what it explains, and over at once with it: so it is never what fires alone."""
DECODE = Rule(
    id="decode_bandwidth_bound",
    title="Decode bound by memory bandwidth",
    of=Source.SERVER,
    condition=decode_bandwidth_bound,
    live=_LIVE,
    page=_PAGE,
    source="over 60 % of the bandwidth with tensor cores below 30 %, by GPM or the engine's own count: our default",
    impact="low: it says what limits the speed, not that anything is wrong with the GPUs",
    mitigation="Fewer bytes for each token, by weights and cache in fewer bits; larger batches; or more GPUs.",
)
PREFILL = Rule(
    id="prefill_compute_bound",
    title="Prefill bound by arithmetic",
    of=Source.SERVER,
    condition=prefill_compute_bound,
    live=_LIVE,
    page=_PAGE,
    source="tensor cores, or MFU, above 50 %, by GPM or the engine's own count: our default",
    impact="low: it says what limits the speed, not that anything is wrong with the GPUs",
    mitigation="Less to compute: cached prefixes, shorter prompts, arithmetic in FP8; or more GPUs to share it.",
)
