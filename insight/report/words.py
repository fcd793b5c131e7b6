"""What a report calls the things it speaks of, and how it writes numbers that come with an interval or a window."""

from __future__ import annotations

from typing import TYPE_CHECKING

from insight.engines import ENGINES
from insight.written import written
from metrics import units
from metrics.histogram import Quantile

if TYPE_CHECKING:
    from metrics.finding import Evidence, Recommendation
    from metrics.observed import Gpu, Measure
    from metrics.sample import State
    from metrics.snapshot import Snapshot

_NAMES = {
    "ttft_seconds": "TTFT",
    "probe_ttft_seconds": "TTFT, probe",
    "probe_itl_seconds": "ITL, probe",
    "probe_tpot_seconds": "TPOT, probe",
    "probe_e2e_seconds": "E2E, probe",
    "itl_seconds": "ITL",
    "tpot_seconds": "TPOT",
    "e2e_seconds": "E2E",
    "prompt_tokens": "prompt length",
    "output_tokens": "output length",
    "prompt_tokens_total": "prompt tokens",
    "output_tokens_total": "output tokens",
    "kv_cache_usage": "KV cache in use",
    "sm_clock_hertz": "SM clock",
    "http_requests": "HTTP requests",
    "cpu_usage": "CPU in use",
    "cpu_steal": "CPU stolen by the hypervisor",
    "cpu_iowait": "CPU waiting for disks",
    "cpu_count": "logical CPUs",
    "load1": "load average (one minute)",
    "oom_kills": "processes killed for want of memory",
    "pressure_cpu": "pressure on CPU (PSI)",
    "pressure_memory": "pressure on memory (PSI)",
    "pressure_memory_full": "pressure on memory, all tasks (PSI)",
    "pressure_io": "pressure on disks (PSI)",
}
_UNIT_ENDINGS = ("_seconds", "_bytes_per_second", "_bytes", "_hertz", "_celsius", "_watts", "_joules")


def quantity_name(quantity: str) -> str:
    """Name a quantity for a reader: `TTFT`, `requests waiting`. Its unit stands at the number, not in the name."""
    if quantity in _NAMES:
        return _NAMES[quantity]
    stem, _, q = quantity.rpartition("_")
    if q[:1] == "p" and q[1:].isdigit():
        return f"{quantity_name(stem if stem in _NAMES else f'{stem}_seconds')} {q}"
    ending = next((each for each in _UNIT_ENDINGS if quantity.endswith(each)), "")
    return quantity.removesuffix(ending).replace("_", " ")


def engine_name(engine: str | None) -> str:
    """Name the kind of a server as its makers write it."""
    return "unknown engine" if engine is None else ENGINES.get(engine, engine)


def gpu_name(gpu: Gpu) -> str:
    """Name a GPU by its index, or by its UUID where it has none."""
    return f"GPU {gpu.uuid if gpu.index is None else gpu.index}"


def subject(snapshot: Snapshot, target: str | None) -> str:
    """Name what a finding is about: a server by its URL, a GPU by its index; empty where there is no such thing."""
    names = {each.id: each.url for each in snapshot.targets} | {
        f"gpu:{gpu.uuid}": gpu_name(gpu) for gpu in snapshot.gpus
    }
    return "" if target is None else names.get(target, target)


def state_text(state: State, reason: str) -> str:
    """Say that something is not as it should be, and why: `DOWN: connection refused`."""
    return f"{state.value.upper()}: {reason or 'no reason is known'}"


def sentence(text: str) -> str:
    """End a text with a full stop, unless it ends otherwise; nothing stays nothing."""
    text = text.strip()
    return text if not text or text[-1] in ".!?:" else f"{text}."


def opening(text: str) -> str:
    """Write a text as a sentence of its own: with a capital, unless its first word has a form of its own."""
    first = text.split(maxsplit=1)[0].rstrip(",;:") if text.strip() else ""
    text = text.strip()
    return sentence(f"{text[0].upper()}{text[1:]}" if first.isalpha() and first.islower() else text)


def titled(title: str, about: str) -> str:
    """Write a title with what it is about behind it, unless it names that itself."""
    return f"{title} ({about})" if about and about not in title else title


def known(text: str) -> str:
    """Write an empty text as not known."""
    return text.strip() or units.UNKNOWN


def quantile_cell(quantile: Quantile | None, unit: str) -> str:
    """Write a quantile as its estimate and the interval that certainly holds it: `~33.2 s [20-40 s]`, `>160 s`, `—`."""
    estimate = units.estimate(quantile, unit)
    if not estimate.startswith("~"):
        return estimate
    return f"{estimate}\n[{units.bounds(quantile, unit)}]"


def evidence_cell(evidence: Evidence) -> str:
    """Write the value of a piece of evidence, with its interval where it has one."""
    value = units.value(evidence.value, evidence.unit)
    interval = range_text(evidence.lo, evidence.hi, evidence.unit)
    return f"~{value}\n[{interval}]" if interval else value


def measure_cells(measure: Measure | None) -> tuple[str, ...]:
    """Write a gauge as the cells now, mean, max and window."""
    if measure is None:
        return (units.UNKNOWN,) * 4
    values = (units.value(each, measure.unit) for each in (measure.value, measure.mean, measure.max))
    return (*values, window_cell(measure))


def range_text(lo: float | None, hi: float | None, unit: str) -> str:
    """Write an interval: `0.5-1.1 s`, `10.2-14/s`, `>160 s` without an upper end; empty where it has no lower one."""
    written = "" if lo is None else units.bounds(Quantile(None, lo, hi), unit)
    return written.replace(" 1/s", "/s") if unit == "1/s" else written


def window_cell(measure: Measure) -> str:
    """Write the window that a measure speaks of, and that a client of ours measured it where that is so."""
    window = units.duration(measure.window_seconds)
    return window if measure.source == "server" else f"{window}\n({measure.source})"


def effect_text(recommendation: Recommendation) -> str:
    """Write what a recommendation is expected to bring: now, then, on what basis, how well founded."""
    effect = recommendation.effect
    if effect is None:
        return "not estimated"
    around = range_text(effect.lo, effect.hi, effect.unit)
    expected = around or units.UNKNOWN
    if effect.mid is not None:
        numbers = written(effect)
        around = f"{numbers.interval}{numbers.unit}" if numbers.interval else around
        expected = f"~{numbers.then}{numbers.unit}{f' [{around}]' if around else ''}"
    change = f"{quantity_name(effect.quantity)} {units.value(effect.now, effect.unit)} now, {expected} expected"
    found = [f"n {units.count(effect.n)}"] if effect.n is not None else []
    found += [f"seen over {units.duration(effect.window_seconds)}"] if effect.window_seconds is not None else []
    return ", ".join((change, f"basis {effect.basis}", f"grade {effect.grade.value}", *found))
