"""A discrete-event model of an engine that batches continuously, counting what vLLM's V1 engine counts.

Time is virtual: `advance` works through every arrival and every step up to a moment, so that what the engine did by
then does not depend on how often it was asked. A step costs base + per_sequence * decoding sequences +
per_prompt_token * computed prompt tokens (measured on a real engine: R² above 0.94), and its results appear at its end.
No step looks at every sequence: all that decode gain one token, so what happens to them is kept by step number.
"""

from __future__ import annotations

from collections import deque
from heapq import heappop, heappush
from itertools import count
from math import isinf
from random import Random
from typing import TYPE_CHECKING

from simulator.arrivals import Arrivals
from simulator.counters import Counters, Work
from simulator.kv_cache import KvCache
from simulator.request import Request
from simulator.trouble import Trouble

if TYPE_CHECKING:
    from collections.abc import Sequence

    from simulator.faults import Fault
    from simulator.scenario import EngineConfig, Workload


class Engine:
    """One engine: waiting queue, running batch, KV cache, counters. Of the workload, `share` comes here."""

    def __init__(
        self,
        config: EngineConfig,
        workload: Workload,
        seed: int,
        start: float = 0.0,
        faults: Sequence[Fault] = (),
        share: float = 1.0,
    ) -> None:
        self.config = config
        self._trouble = Trouble(faults, seed)
        self._arrivals = Arrivals(workload, faults, config.max_model_len, seed, start, share)
        self._inbox: deque[Request] = deque()
        """Requests submitted from outside, in the order of their arrival."""
        self._random = Random(f"steps {seed}")
        self.now = start
        """All steps up to here are done."""
        self.up_at = start
        """Requests that arrive before this find nobody listening."""
        self.slowdown = 1.0
        """Every step that begins from now on takes so many times as long."""
        self.elsewhere = 0
        """Requests in flight in the other engines behind the same address: a limit is one for all of them."""
        self.work = Work()
        self._numbers = count()
        self._reset()

    def _reset(self) -> None:
        self.counters = Counters(self.config.max_model_len)
        self._cache = KvCache(self.config.num_gpu_blocks)
        self._waiting: deque[Request] = deque()
        self._running: dict[Request, None] = {}
        """In the order of admission: the newest last."""
        self._partial: Request | None = None
        """The one whose prefill did not fit into the token budget of a step."""
        self._cancelled: list[Request] = []
        self._patience: list[tuple[float, int, Request]] = []
        """When the client of a request will be gone; the number keeps those of one moment in order."""
        self._tick = 0
        """Steps done. A sequence that decodes needs a block every `block_size` steps: `_ring` counts how many do."""
        self._ring = [0] * self.config.block_size
        self._decoding = 0
        self._ends_at: dict[int, list[Request]] = {}
        """Sequences by the step number at which they will have their last token."""
        self._step: _Step | None = None
        self.requests_running = 0
        self.requests_waiting = 0
        self.kv_cache_usage = 0.0

    # --- from outside

    def submit(self, at: float, prompt_tokens: int, max_tokens: int, handler: str) -> Request:
        """Let a request arrive at `at`, which must not lie before the last `advance`; it will use all its `max_tokens`.

        Raises ValueError where prompt and answer are longer than the model takes.
        """
        if not (prompt_tokens >= 1 and max_tokens >= 1 and prompt_tokens + max_tokens <= self.config.max_model_len):
            raise ValueError(
                f"the model takes at most {self.config.max_model_len} tokens, "
                f"and the request has {prompt_tokens} in its prompt and asks for {max_tokens}"
            )
        request = Request(max(at, self.now), prompt_tokens, max_tokens, max_tokens, handler=handler)
        self._inbox.append(request)
        return request

    def refuses(self) -> bool:
        """Tell whether a request that arrives now is refused, and count it if so."""
        limit = self.config.max_num_queued_reqs
        if limit is None or self.in_flight + self.elsewhere < limit:
            return False
        self.counters.rejected += 1
        return True

    def cancel(self, request: Request) -> None:
        """Drop a request whose client has gone; like vLLM, count nothing."""
        if not request.done:
            request.cancelled = True
            self._cancelled.append(request)
            self._arrivals.over(request, self.now)

    @property
    def in_flight(self) -> int:
        """How many requests wait or run."""
        return len(self._waiting) + len(self._running)

    def generated(self, request: Request) -> int:
        """Tell how many tokens of a request are out."""
        return request.generated + (0 if request.join_tick is None else self._tick - request.join_tick)

    @property
    def next_step_end(self) -> float | None:
        """When the step under way ends; None when the engine idles."""
        return self._step.end if self._step else None

    @property
    def busy_since(self) -> float | None:
        """When the step under way began; None when the engine idles."""
        return self._step.begin if self._step else None

    def restart(self, at: float, seconds: float) -> None:
        """Lose everything, and come back `seconds` after `at`; never where that is infinite."""
        for request in (*self._running, *self._waiting, *self._inbox):
            request.failed = not request.done
            self._arrivals.over(request, at, refused=True)
        self._inbox.clear()
        self._reset()
        self.up_at = at + seconds
        if isinf(seconds):
            self._arrivals.end()
        else:
            self.now = self.up_at

    def advance(self, to: float) -> None:
        """Work through everything that is over by `to`."""
        while True:
            if self._step is None:
                self._receive()
                if not self._running and not self._waiting:
                    coming = min(self._arrivals.next_at, self._inbox[0].arrival if self._inbox else float("inf"))
                    if coming > to:
                        self.now = max(self.now, to)
                        return
                    self.now = max(self.now, coming)
                    continue
                self._step = self._schedule()
            if self._step.end > to:
                return
            self._complete(self._step)
            self._step = None

    # --- between two steps

    def _receive(self) -> None:
        """Take in what has arrived since the last step began, and forget what was cancelled."""
        arrivals, inbox = self._arrivals, self._inbox
        while True:
            if inbox and inbox[0].arrival <= min(self.now, arrivals.next_at):
                self._queue(inbox.popleft())
            elif arrivals.next_at <= self.now:
                request = arrivals.pop()
                if self._turned_away(request):
                    arrivals.over(request, request.arrival, refused=True)
                else:
                    self._queue(request)
                    self._wait_for(request)
            else:
                break
        self._lose_patience()
        for request in self._cancelled:
            if request in self._running:
                self._leave(request)
            elif request in self._waiting:
                self._waiting.remove(request)
        self._cancelled.clear()

    def _turned_away(self, request: Request) -> bool:
        """Tell whether a request gets no further than the door, and count what it was told there."""
        if request.arrival < self.up_at:
            return True
        if self._trouble.is_bad(request.arrival):
            self.counters.answer(request.handler, "POST", 400, 0.001)
            return True
        if self.refuses():
            self.counters.answer(request.handler, "POST", 503, 0.001)
            return True
        return False

    def _lose_patience(self) -> None:
        """Cancel what a client has gone from."""
        while self._patience and self._patience[0][0] <= self.now:
            request = heappop(self._patience)[2]
            if not request.done:
                self.cancel(request)
                # Measured on vLLM 0.32: a client that goes is no finished request, and one more answer of 200.
                self.counters.answer(request.handler, "POST", 200, self.now - request.arrival)

    def _wait_for(self, request: Request) -> None:
        after = self._trouble.gone_after(request.arrival)
        if after is not None:
            heappush(self._patience, (request.arrival + after, next(self._numbers), request))

    def _queue(self, request: Request) -> None:
        if not request.cancelled:
            request.queued = self.now
            self._waiting.append(request)

    def _schedule(self) -> _Step:
        """Decide on the next step: all that decode, then prefills as far as budget, slots and blocks go."""
        config = self.config
        while (needed := self._ring[self._tick % config.block_size]) > self._cache.free:
            # Whoever goes gave less than it would take to come back, so nobody is admitted in the same step.
            self._preempt()
        self._cache.take(needed)
        step = _Step(self.now, self._decoding)
        budget = config.max_num_batched_tokens - self._decoding
        if self._partial is not None:
            budget -= self._prefill(self._partial, step, budget)
        while budget > 0 and self._waiting and len(self._running) < config.max_num_seqs:
            request = self._waiting[0]
            if not self._admit(request):
                break
            self._waiting.popleft()
            budget -= self._prefill(request, step, budget)
        decode = config.base_ms + config.per_sequence_ms * step.decoding
        if config.speculation is not None:
            # A step gives every sequence its accepted tokens at once; here each token has a step of its share.
            decode = (decode + config.speculation.draft_ms) / (1 + config.speculation.accepted)
        cost = decode + config.per_prompt_token_ms * step.prompt_tokens
        noise = self._random.lognormvariate(0.0, config.noise) if config.noise else 1.0
        factor = self.slowdown * self._trouble.slowdown(self.now) * noise / 1000
        step.prompt_seconds = config.per_prompt_token_ms * step.prompt_tokens * factor
        step.end = self._trouble.thaw(step.begin, step.begin + cost * factor)
        return step

    def _admit(self, request: Request) -> bool:
        """Give a waiting request the blocks of its whole prefill; tell whether there were enough."""
        size = self.config.block_size
        length = request.prompt_tokens + request.generated
        prefix_blocks = self._prefix_blocks(request)
        blocks = -(-length // size) - prefix_blocks
        known = self._cache.admit(blocks, request.prefix if prefix_blocks else None, prefix_blocks)
        if known is None:
            return False
        request.blocks = blocks
        request.remaining = length - known * size
        if request.scheduled is None:
            request.scheduled = self.now
            request.cached = known * size
            self.counters.prefix_queries += request.prompt_tokens if self.config.enable_prefix_caching else 0
            self.counters.prefix_hits += request.cached
        self._running[request] = None
        return True

    def _prefill(self, request: Request, step: _Step, budget: int) -> int:
        """Put as much of a prefill into the step as the budget allows; return how many tokens that is."""
        tokens = min(budget, request.remaining)
        request.remaining -= tokens
        step.prompt_tokens += tokens
        if request.remaining:
            self._partial = request
        else:
            self._partial = None
            step.prefilled.append(request)
        return tokens

    def _preempt(self) -> None:
        """Push the newest running request back to the front of the queue; its cache is lost and computed again."""
        request = next(reversed(self._running))
        request.generated = self.generated(request)
        if request.join_tick is not None:
            request.last_token = self.now
        self._leave(request)
        request.preemptions += 1
        self.counters.preemptions += 1
        self._waiting.appendleft(request)

    def _leave(self, request: Request) -> None:
        """Take a request out of the batch and its blocks out of the cache."""
        del self._running[request]
        if request is self._partial:
            self._partial = None
        blocks = request.blocks
        if request.join_tick is not None:
            size = self.config.block_size
            blocks += -(-(request.stored + self._tick - request.join_tick) // size) - -(-request.stored // size)
            self._ring[request.ring_slot] -= 1
            self._decoding -= 1
            request.join_tick = None
            if request.finish_tick > self._tick:
                self._ends_at[request.finish_tick].remove(request)
        prefix_blocks = self._prefix_blocks(request)
        self._cache.leave(blocks, request.prefix if prefix_blocks else None, prefix_blocks)

    def _prefix_blocks(self, request: Request) -> int:
        return request.prefix_tokens // self.config.block_size if self.config.enable_prefix_caching else 0

    # --- at the end of a step

    def _complete(self, step: _Step) -> None:
        counters = self.counters
        self.now = step.end
        self._tick += 1
        seconds = step.end - step.begin
        work = self.work
        work.steps += 1
        work.busy_seconds += seconds
        work.prompt_tokens += step.prompt_tokens
        work.prompt_seconds += step.prompt_seconds
        work.sequence_seconds += step.decoding * seconds
        computed = failed = 0
        if step.decoding:
            # Whoever decodes had its last token at the end of the step before, which is when this one began.
            counters.itl.add(seconds, step.decoding)
            if self.config.speculation is not None:
                counters.drafted(step.decoding, self.config.speculation)
            for request in self._ends_at.pop(self._tick, ()):
                request.generated = self.generated(request)
                self._finish(request)
        for request in step.prefilled:
            if self._trouble.fails(self.now):
                self._leave(request)
                request.failed = True
                counters.fail(request, self.now)
                self._arrivals.over(request, self.now)
                failed += 1
                continue
            if request.first_token is None:
                request.first_token = self.now
                computed += counters.first_token(request, self.now)
            else:
                counters.itl.add(self.now - request.last_token)
            request.generated += 1
            if request.generated >= request.output_tokens:
                self._finish(request)
            else:
                self._join(request)
        tokens = step.decoding + len(step.prefilled) - failed
        if tokens:
            counters.generation_tokens += tokens
            counters.iteration_tokens.add(computed + tokens)
        self.requests_running = len(self._running)
        self.requests_waiting = len(self._waiting)
        self.kv_cache_usage = self._cache.usage

    def _join(self, request: Request) -> None:
        """Let a request decode from the next step on."""
        request.join_tick = self._tick
        request.finish_tick = self._tick + request.output_tokens - request.generated
        request.stored = request.prompt_tokens + request.generated - 1
        request.ring_slot = (self._tick - request.stored) % self.config.block_size
        self._ring[request.ring_slot] += 1
        self._decoding += 1
        self._ends_at.setdefault(request.finish_tick, []).append(request)

    def _finish(self, request: Request) -> None:
        self._leave(request)
        request.ended = self.now
        request.finish_reason = "length" if request.generated >= request.max_tokens else "stop"
        self.counters.finish(request, self.now)
        self._arrivals.over(request, self.now)


class _Step:
    """A step under way."""

    __slots__ = ("begin", "decoding", "end", "prefilled", "prompt_seconds", "prompt_tokens")

    def __init__(self, begin: float, decoding: int) -> None:
        self.begin = begin
        self.end = begin
        self.decoding = decoding
        self.prompt_tokens = 0
        self.prompt_seconds = 0.0
        self.prefilled: list[Request] = []
        """Whose prefill this step completes."""
