"""What a fault of a GPU or of the host did to the server that works there: both on one clock, in one sentence."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from insight.rules.placement import gpus_of, name, server_on, span
from metrics import units
from metrics.finding import Evidence
from metrics.measure import total_gauge

if TYPE_CHECKING:
    from metrics.view import SourceView

SECONDS = 60.0
"""Before and after are each looked at for at most so long."""
MIN_GAPS = 20
"""Fewer gaps between tokens say nothing of decoding."""
FELT = 0.05
"""A smaller change of the inter-token latency is none: the batch moves it as much from minute to minute."""
SAME_BATCH = 0.2
"""A batch that grew by no more than that is the same."""
BY_LOAD = 0.5
"""More load is the reason where the output grew by at least this share of what the batch grew by: 39 to 63 running made
39 % more tokens/s; beside a neighbour, simulated, 21 to 44 made 7 % more. Our own default."""


def decode_change(server: SourceView, since: float) -> Evidence | None:
    """Tell how decoding changed at a moment: the mean inter-token latency after it against before.

    None where it did not get slower, too few tokens were seen, or the batch grew and the output with it: that is more
    load, and not a slower engine. Where a larger batch makes no more, it is slower: as much comes in, and stays longer.
    Not corrected for the batch otherwise, which is why the batch and the output rate are said beside it.
    """
    now = server.view.mono
    before = server.histogram("itl_seconds", SECONDS, since)
    after = server.histogram("itl_seconds", min(SECONDS, now - since)) if now > since else None
    if before is None or after is None or min(before.count, after.count) < MIN_GAPS:
        return None
    was, is_now = before.mean, after.mean
    beside = _beside(server, since)
    if not was or not is_now or is_now < was * (1 + FELT) or beside.more_load:
        return None
    clock = units.rfc3339(server.view.wall_at(since))[11:19]
    text = (
        f"decode {units.digits(100 * (was / is_now - 1), 2)} % since {clock} UTC "
        f"(ITL {units.value(was, 's')} to {units.value(is_now, 's')}{beside.said})"
    )
    window = min(SECONDS, now - since)
    return Evidence(
        "itl_seconds", is_now, "s", threshold=was, window_seconds=window, count=after.count, text=text, lo=was
    )


def with_server(gpu: SourceView, since: float, said: str) -> tuple[str, tuple[Evidence, ...]]:
    """Join what is wrong with a GPU to what its server felt of it; the text alone where it felt nothing."""
    server = server_on(gpu)
    felt = decode_change(server, since) if server else None
    if server is None or felt is None:
        return said, ()
    group = gpus_of(server)
    parallel = f"; {server.id} works on {span(group)} and waits for the slowest" if len(group) > 1 else ""
    return f"{felt.text[0].upper()}{felt.text[1:]}; {said}{parallel}", (felt,)


def fell(gpu: SourceView, since: float) -> str | None:
    """Say from what to what the clock of a GPU fell: `GPU 3 SM clock 1980 to 1155 MHz`."""
    now = gpu.gauge("sm_clock_hertz")
    before = gpu.gauge_over("sm_clock_hertz", SECONDS, since)
    if now is None or before is None or before.peak <= now:
        return None
    return f"{name(gpu)} SM clock {before.peak / 1e6:.0f} to {now / 1e6:.0f} MHz"


class Beside(Struct, frozen=True):
    """What else changed when decoding did, which the latency is not corrected for."""

    running: tuple[float, float] | None
    """Requests in the batch before and since."""
    output: tuple[float, float] | None
    """Tokens/s of all together, before and since."""

    @property
    def more_load(self) -> bool:
        """Whether the batch grew, and the output with it."""
        if self.running is None or self.output is None or not self.running[0] or not self.output[0]:
            return False
        batch, made = (now / was - 1 for was, now in (self.running, self.output))
        return batch > SAME_BATCH and made >= BY_LOAD * batch

    @property
    def said(self) -> str:
        """Say it behind the latency."""
        parts = []
        if self.running is not None:
            was, now = (units.count(round(each)) for each in self.running)
            parts.append(f"{was} running before and {now} since")
        if self.output is not None:
            was, now = (units.count(round(each)) for each in self.output)
            parts.append(f"output {was} to {now} tokens/s")
        return f"; {', '.join(parts)}; not corrected for the batch" if parts else "; not corrected for the batch"


def _beside(server: SourceView, since: float) -> Beside:
    now = server.view.mono
    spans = ((SECONDS, since), (min(SECONDS, now - since), now))
    was, running = (total_gauge(server, "requests_running", *each) for each in spans)
    before, after = (server.increase("output_tokens_total", *each) for each in spans)
    made = None
    if before is not None and after is not None and before.rate is not None and after.rate is not None:
        made = before.rate, after.rate
    return Beside(None if was is None or running is None else (was, running), made)
