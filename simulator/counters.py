"""What the engine counts, with the meanings of vLLM's V1 engine; a restart begins with a new one."""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from simulator.request import Request
    from simulator.scenario import Speculation

LATENCY_BOUNDS = (0.3, 0.5, 0.8, 1, 1.5, 2, 2.5, 5, 10, 15, 20, 30, 40, 50, 60, 120, 240, 480, 960, 1920, 7680)
TTFT_BOUNDS = (
    *(0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1),
    *(2.5, 5, 7.5, 10, 20, 40, 80, 160, 640, 2560),
)
ITL_BOUNDS = (0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 20, 40, 80)
STEP_BOUNDS = (1, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384)
PREEMPTION_BOUNDS = (1, 2, 3, 4, 5, 10, 20)
N_BOUNDS = (1, 2, 5, 10, 20)
HTTP_BOUNDS = (0.1, 0.5, 1)
HTTP_FINE_BOUNDS = (0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 1.5, 2, 2.5, 3, 3.5, 4, 4.5, 5, 7.5, 10, 30, 60)
FINISH_REASONS = ("stop", "length", "abort", "error", "repetition")


def token_bounds(max_model_len: int) -> tuple[int, ...]:
    """Bound the buckets of a token count: 1, 2, 5, 10, ... up to the longest sequence."""
    decades = range(len(str(max_model_len)))
    return tuple(
        bound for power in decades for bound in (10**power, 2 * 10**power, 5 * 10**power) if bound <= max_model_len
    )


class Tally:
    """A histogram under construction."""

    __slots__ = ("bounds", "counts", "sum")

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.sum = 0.0

    def add(self, value: float, times: int = 1) -> None:
        """Count `value`, so many times."""
        self.counts[bisect_left(self.bounds, value)] += times
        self.sum += value * times

    def merge(self, other: Tally) -> None:
        """Count what another one with the same bounds counted."""
        self.counts = [one + two for one, two in zip(self.counts, other.counts, strict=True)]
        self.sum += other.sum

    @property
    def count(self) -> int:
        """All observations."""
        return sum(self.counts)


class Counters:
    """Everything cumulative that the server's page shows."""

    def __init__(self, max_model_len: int) -> None:
        tokens = token_bounds(max_model_len)
        # Each step.
        self.iteration_tokens = Tally(STEP_BOUNDS)
        self.generation_tokens = 0
        self.itl = Tally(ITL_BOUNDS)
        self.preemptions = 0
        self.drafts = self.draft_tokens = self.accepted_tokens = 0.0
        # When a request is admitted, and when its prompt is done: prompt tokens come in one lump.
        self.prefix_queries = 0
        self.prefix_hits = 0
        self.prompt_tokens = 0
        self.prompt_tokens_cached = 0
        self.ttft = Tally(TTFT_BOUNDS)
        # When a request ends: the phases of one that is under way are nowhere to be seen.
        self.finished = dict.fromkeys(FINISH_REASONS, 0)
        self.rejected = 0
        self.e2e = Tally(LATENCY_BOUNDS)
        self.queue = Tally(LATENCY_BOUNDS)
        self.inference = Tally(LATENCY_BOUNDS)
        self.prefill = Tally(LATENCY_BOUNDS)
        self.decode = Tally(LATENCY_BOUNDS)
        self.tpot = Tally(ITL_BOUNDS)
        self.request_prompt_tokens = Tally(tokens)
        self.request_output_tokens = Tally(tokens)
        self.request_max_tokens = Tally(tokens)
        self.request_computed_tokens = Tally(tokens)
        self.request_preemptions = Tally(PREEMPTION_BOUNDS)
        self.request_n = Tally(N_BOUNDS)
        # What HTTP answered.
        self.answers: dict[tuple[str, str, str], int] = {}
        """By handler, method and status class."""
        self.answer_seconds: dict[tuple[str, str], Tally] = {}
        """By handler and method."""
        self.answer_seconds_fine = Tally(HTTP_FINE_BOUNDS)

    def first_token(self, request: Request, now: float) -> int:
        """Count a request whose prompt is done; return how many tokens of it were computed."""
        cached = request.cached or 0
        self.ttft.add(now - request.arrival)
        self.prompt_tokens += request.prompt_tokens
        self.prompt_tokens_cached += cached
        return request.prompt_tokens - cached

    def finish(self, request: Request, now: float) -> None:
        """Count a request that ended with its last token."""
        queued, scheduled, first = request.queued, request.scheduled, request.first_token
        if queued is None or scheduled is None or first is None or request.finish_reason is None:
            raise AssertionError("a request cannot end before it began")
        self.finished[request.finish_reason] += 1
        self.e2e.add(now - request.arrival)
        self.queue.add(scheduled - queued)
        self.inference.add(now - scheduled)
        self.prefill.add(first - scheduled)
        self.decode.add(now - first)
        # With a single token there is no time between tokens, and vLLM counts a 0.
        self.tpot.add((now - first) / (request.generated - 1) if request.generated > 1 else 0.0)
        self.request_prompt_tokens.add(request.prompt_tokens)
        self.request_output_tokens.add(request.generated)
        self.request_max_tokens.add(request.max_tokens)
        self.request_computed_tokens.add(request.prompt_tokens - (request.cached or 0))
        self.request_preemptions.add(request.preemptions)
        self.request_n.add(1)
        self.answer(request.handler, "POST", 200, now - request.arrival)

    def fail(self, request: Request, now: float) -> None:
        """Count a request that ended with an error."""
        self.finished["error"] += 1
        self.answer(request.handler, "POST", 500, now - request.arrival)

    def drafted(self, tokens: int, speculation: Speculation) -> None:
        """Count the drafts behind so many tokens: the part of each that a token stands for."""
        drafts = tokens / (1 + speculation.accepted)
        self.drafts += drafts
        self.draft_tokens += drafts * speculation.tokens
        self.accepted_tokens += drafts * speculation.accepted

    def answer(self, handler: str, method: str, status: int, seconds: float) -> None:
        """Count one HTTP request that was answered."""
        key = (handler, method, f"{status // 100}xx")
        self.answers[key] = self.answers.get(key, 0) + 1
        self.answer_seconds.setdefault((handler, method), Tally(HTTP_BOUNDS)).add(seconds)
        self.answer_seconds_fine.add(seconds)


class Work:
    """What the engine did, as its GPUs feel it: no page shows it, and no restart sets it back."""

    __slots__ = ("busy_seconds", "prompt_seconds", "prompt_tokens", "sequence_seconds", "steps")

    def __init__(self) -> None:
        self.steps = 0
        self.busy_seconds = 0.0
        self.prompt_tokens = 0
        """Computed, recomputed ones included."""
        self.prompt_seconds = 0.0
        """By how much steps took longer for the prompt tokens in them."""
        self.sequence_seconds = 0.0
        """Length of each step, times the sequences that decoded in it."""
