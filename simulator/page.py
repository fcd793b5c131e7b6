"""The metrics page of the simulated server: the names, labels, types and buckets of vLLM 0.32.

Two things say that it is none: the comment in its first line, and the series `chimera_simulated`.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import accumulate
from typing import TYPE_CHECKING

from metrics.series import series
from simulator.counters import HTTP_FINE_BOUNDS, Tally

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from simulator.counters import Counters
    from simulator.engine import Engine
    from simulator.simulation import Simulation

CONTENT_TYPE = "text/plain; version=1.0.0; charset=utf-8"
MARK = "# SIMULATED by chimera-top: no model runs here."

_name = lru_cache(maxsize=4096)(series)
"""The same few hundred names are written on every page."""


class _Page:
    """Families that share some labels, written one after another."""

    def __init__(self, lines: list[str], created: float, **labels: str) -> None:
        self.lines = lines
        self._created = created
        self._labels = labels

    def gauge(self, name: str, meaning: str, parts: Iterable[tuple[dict[str, str], float]]) -> None:
        """Add a gauge; each part has labels beside the common ones."""
        self._head(name, meaning, "gauge")
        self.lines += [f"{_name(name, **self._labels, **labels)} {float(value)!r}" for labels, value in parts]

    def counter(self, name: str, meaning: str, parts: Sequence[tuple[dict[str, str], float]]) -> None:
        """Add a counter, whose name ends in `_total`, and the gauge that says since when it counts."""
        self._head(name, meaning, "counter")
        self.lines += [f"{_name(name, **self._labels, **labels)} {float(value)!r}" for labels, value in parts]
        self.gauge(f"{name.removesuffix('_total')}_created", meaning, [(labels, self._created) for labels, _ in parts])

    def histogram(self, name: str, meaning: str, parts: Sequence[tuple[dict[str, str], Tally]]) -> None:
        """Add a histogram, and the gauge that says since when it counts."""
        self._head(name, meaning, "histogram")
        for labels, tally in parts:
            common = self._labels | labels
            bounds = [*(repr(float(bound)) for bound in tally.bounds), "+Inf"]
            for bound, count in zip(bounds, accumulate(tally.counts), strict=True):
                self.lines.append(f"{_name(f'{name}_bucket', le=bound, **common)} {float(count)!r}")
            self.lines.append(f"{_name(f'{name}_count', **common)} {float(tally.count)!r}")
            self.lines.append(f"{_name(f'{name}_sum', **common)} {float(tally.sum)!r}")
        self.gauge(f"{name}_created", meaning, [(labels, self._created) for labels, _ in parts])

    def _head(self, name: str, meaning: str, kind: str) -> None:
        self.lines.append(f"# HELP {name} {meaning}")
        self.lines.append(f"# TYPE {name} {kind}")


def render(simulation: Simulation, epoch: float) -> str:
    """Write the page; `epoch` is second 0 of the simulation in seconds since the Unix epoch."""
    lines = [MARK]
    created = epoch + simulation.engine.up_at
    model = simulation.scenario.engine.model
    process = _Page(lines, created)
    engines = _Page(lines, created, model_name=model)
    mark = {"scenario": simulation.scenario.name, "simulated": "true"}
    process.gauge("chimera_simulated", "1: no model runs in this server", [(mark, 1)])
    _process(process, simulation, epoch)
    _gauges(engines, simulation.engines)
    _counters(engines, simulation.engines)
    _rejections(engines, simulation.engines)
    _histograms(engines, simulation.engines)
    _cache_config(process, simulation)
    _http(process, simulation.engines)
    lines.append("")
    return "\n".join(lines)


def _process(page: _Page, simulation: Simulation, epoch: float) -> None:
    started = epoch + simulation.started_at
    page.gauge("process_start_time_seconds", "When the process started, since the Unix epoch", [({}, started)])
    page.gauge("process_resident_memory_bytes", "Memory of the process", [({}, 3.1e9)])
    page.gauge("process_open_fds", "Open file descriptors", [({}, 80 + simulation.engine.requests_running)])
    page.gauge("process_max_fds", "Most file descriptors that may be open", [({}, 65536)])


def _each(engines: Sequence[Engine]) -> list[tuple[dict[str, str], Engine]]:
    return [({"engine": str(number)}, engine) for number, engine in enumerate(engines)]


def _gauges(page: _Page, engines: Sequence[Engine]) -> None:
    each = _each(engines)
    running = [(labels, engine.requests_running) for labels, engine in each]
    waiting = [(labels, engine.requests_waiting) for labels, engine in each]
    page.gauge("vllm:num_requests_running", "Requests in the running batch", running)
    page.gauge("vllm:num_requests_waiting", "Requests that wait", waiting)
    reasons = [
        (labels | {"reason": reason}, count if reason == "capacity" else 0)
        for labels, count in waiting
        for reason in ("capacity", "deferred")
    ]
    page.gauge("vllm:num_requests_waiting_by_reason", "Requests that wait, by reason", reasons)
    states = [
        (labels | {"sleep_state": state}, state == "awake")
        for labels, _ in each
        for state in ("awake", "weights_offloaded", "discard_all")
    ]
    page.gauge("vllm:engine_sleep_state", "Whether the engine is awake, and how deep it sleeps", states)
    usage = [(labels, engine.kv_cache_usage) for labels, engine in each]
    page.gauge("vllm:kv_cache_usage_perc", "Share of the KV cache in use, 0 to 1", usage)


def _counters(page: _Page, engines: Sequence[Engine]) -> None:
    each = [(labels, engine.counters) for labels, engine in _each(engines)]
    for name, meaning, value in _COUNTERS:
        page.counter(f"vllm:{name}_total", meaning, [(labels, value(counters)) for labels, counters in each])
    if engines[0].config.speculation is not None:
        for name, meaning, value in _SPECULATION:
            page.counter(f"vllm:{name}_total", meaning, [(labels, value(counters)) for labels, counters in each])
    for name, meaning, label, parts in _SPLIT:
        split = [
            (labels | {label: part}, count) for labels, counters in each for part, count in parts(counters).items()
        ]
        page.counter(f"vllm:{name}_total", meaning, split)


_COUNTERS: tuple[tuple[str, str, Callable[[Counters], float]], ...] = (
    ("estimated_flops_per_gpu", "Estimated floating-point operations on each GPU", lambda _: 0),
    ("estimated_read_bytes_per_gpu", "Estimated bytes read from memory on each GPU", lambda _: 0),
    ("estimated_write_bytes_per_gpu", "Estimated bytes written to memory on each GPU", lambda _: 0),
    ("prefix_cache_queries", "Prompt tokens looked up in the prefix cache", lambda c: c.prefix_queries),
    ("prefix_cache_hits", "Prompt tokens found in the prefix cache", lambda c: c.prefix_hits),
    ("external_prefix_cache_queries", "Prompt tokens looked up in another instance's cache", lambda _: 0),
    ("external_prefix_cache_hits", "Prompt tokens found in another instance's cache", lambda _: 0),
    ("mm_cache_queries", "Items looked up in the multi-modal cache", lambda _: 0),
    ("mm_cache_hits", "Items found in the multi-modal cache", lambda _: 0),
    ("num_preemptions", "Running requests pushed back to the queue", lambda c: c.preemptions),
    ("prompt_tokens", "Tokens of prompts that are done", lambda c: c.prompt_tokens),
    ("prompt_tokens_cached", "Prompt tokens that needed no computing", lambda c: c.prompt_tokens_cached),
    ("generation_tokens", "Tokens generated", lambda c: c.generation_tokens),
)
_SPECULATION: tuple[tuple[str, str, Callable[[Counters], float]], ...] = (
    ("spec_decode_num_drafts", "Drafts made", lambda c: c.drafts),
    ("spec_decode_num_draft_tokens", "Tokens drafted", lambda c: c.draft_tokens),
    ("spec_decode_num_accepted_tokens", "Drafted tokens that were accepted", lambda c: c.accepted_tokens),
)
"""Only there where speculation is configured, as in vLLM."""


def _by_source(counters: Counters) -> dict[str, float]:
    cached = counters.prompt_tokens_cached
    computed = counters.prompt_tokens - cached
    return {"local_compute": computed, "local_cache_hit": cached, "external_kv_transfer": 0}


def _by_tier(counters: Counters) -> dict[str, float]:
    tiers = ("host", "p2p", "disk", "external_unspecified")
    return {"device": counters.prompt_tokens_cached, **dict.fromkeys(tiers, 0)}


_SPLIT: tuple[tuple[str, str, str, Callable[[Counters], Mapping[str, float]]], ...] = (
    ("prompt_tokens_by_source", "Tokens of prompts that are done, by source", "source", _by_source),
    ("prompt_tokens_cached_by_source", "Cached prompt tokens, by cache tier", "source", _by_tier),
    ("request_success", "Requests that ended, by reason", "finished_reason", lambda counters: counters.finished),
)


def _rejections(page: _Page, engines: Sequence[Engine]) -> None:
    rejected = sum(engine.counters.rejected for engine in engines)
    parts = {"max_num_queued_reqs": rejected, "max_num_queued_tokens": 0}
    page.counter(
        "vllm:admission_rejections_total",
        "Requests refused because of a queue limit, by reason",
        [({"reason": reason}, count) for reason, count in parts.items()],
    )


def _histograms(page: _Page, engines: Sequence[Engine]) -> None:
    each = [(labels, engine.counters) for labels, engine in _each(engines)]
    for name, meaning, tally in _HISTOGRAMS:
        page.histogram(f"vllm:{name}", meaning, [(labels, tally(counters)) for labels, counters in each])


_HISTOGRAMS: tuple[tuple[str, str, Callable[[Counters], Tally]], ...] = (
    ("request_prompt_tokens", "Prompt tokens of a request", lambda c: c.request_prompt_tokens),
    ("request_generation_tokens", "Tokens generated for a request", lambda c: c.request_output_tokens),
    ("iteration_tokens_total", "Tokens of one engine step", lambda c: c.iteration_tokens),
    ("request_max_num_generation_tokens", "Most tokens generated for a request", lambda c: c.request_output_tokens),
    ("request_params_n", "Parameter n of a request", lambda c: c.request_n),
    ("request_params_max_tokens", "Parameter max_tokens of a request", lambda c: c.request_max_tokens),
    ("time_to_first_token_seconds", "Arrival to first token", lambda c: c.ttft),
    ("inter_token_latency_seconds", "Time between two tokens of a request", lambda c: c.itl),
    ("request_time_per_output_token_seconds", "Mean time per token after the first", lambda c: c.tpot),
    ("e2e_request_latency_seconds", "Arrival to end", lambda c: c.e2e),
    ("request_queue_time_seconds", "Queue entry to first scheduling", lambda c: c.queue),
    ("request_inference_time_seconds", "First scheduling to end", lambda c: c.inference),
    ("request_prefill_time_seconds", "First scheduling to first token", lambda c: c.prefill),
    ("request_decode_time_seconds", "First token to last", lambda c: c.decode),
    ("request_num_preemptions", "Times that a request was preempted", lambda c: c.request_preemptions),
    ("request_prefill_kv_computed_tokens", "Prompt tokens computed", lambda c: c.request_computed_tokens),
)


def _cache_config(page: _Page, simulation: Simulation) -> None:
    config = simulation.scenario.engine
    tokens = config.num_gpu_blocks * config.block_size
    labels = {
        "block_size": str(config.block_size),
        "cache_dtype": "auto",
        "enable_prefix_caching": str(config.enable_prefix_caching),
        "gpu_memory_utilization": "0.92",
        "kv_cache_max_concurrency": f"{tokens / config.max_model_len:.2f}",
        "kv_cache_size_tokens": str(tokens),
        "num_cpu_blocks": "None",
        "num_gpu_blocks": str(config.num_gpu_blocks),
        "num_gpu_blocks_override": "None",
        "prefix_caching_hash_algo": "sha256",
        "sliding_window": "None",
    }
    parts = [({"engine": str(number)} | labels, 1) for number in range(len(config.replica_shares))]
    page.gauge("vllm:cache_config_info", "Configuration of the KV cache", parts)


def _http(page: _Page, engines: Sequence[Engine]) -> None:
    """Write what HTTP answered, of all engines together: they stand behind one address."""
    answers: dict[tuple[str, str, str], int] = {}
    seconds: dict[tuple[str, str], Tally] = {}
    fine = Tally(HTTP_FINE_BOUNDS)
    for engine in engines:
        counters = engine.counters
        fine.merge(counters.answer_seconds_fine)
        for key, count in counters.answers.items():
            answers[key] = answers.get(key, 0) + count
        for handler, tally in counters.answer_seconds.items():
            seconds.setdefault(handler, Tally(tally.bounds)).merge(tally)
    page.counter(
        "http_requests_total",
        "Requests by method, status class and handler",
        [({"handler": h, "method": m, "status": s}, count) for (h, m, s), count in answers.items()],
    )
    page.histogram("http_request_duration_highr_seconds", "Latency in many buckets", [({}, fine)])
    page.histogram(
        "http_request_duration_seconds",
        "Latency in few buckets, by handler",
        [({"handler": h, "method": m}, tally) for (h, m), tally in seconds.items()],
    )
