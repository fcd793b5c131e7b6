"""The schedule on a clock that only the test moves: open loop, held back, warmed up, and asked in turns."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import msgspec
import pytest

from collectors.clock import Clock
from collectors.probe.chunk import Usage
from collectors.probe.lag import Lag
from collectors.probe.prober import Prober
from collectors.probe.reply import Limits, Outcome, Reply
from collectors.probe.schedule import Heard, Plan
from metrics.sample import Sample, Source
from tests.collectors.probe.serving import StepClock

if TYPE_CHECKING:
    from collections.abc import Callable

OK, SKIPPED = 'probe_requests{outcome="ok"}', 'probe_skipped{{reason="{}"}}'


class EndedError(Exception):
    """The test has seen enough."""


class Scripted:
    """Answers each request after so many seconds, by the clock of the test."""

    def __init__(self, clock: StepClock, *seconds: float) -> None:
        self.clock = clock
        self.seconds = list(seconds)
        self.sent: list[tuple[float, str, dict[str, object]]] = []
        """When, which path, and the body of each request."""
        self.refuses: Callable[[str, dict[str, object]], Reply | None] = lambda _path, _body: None

    async def models(self, url: str, seconds: float) -> tuple[str, ...] | None:
        assert url == "http://a/v1/models"
        assert 0 < seconds <= 1.0
        return ("first", "second")

    async def ask(self, url: str, shown: str, body: bytes, limits: Limits) -> Reply:
        assert shown.removeprefix("shown") == url.removeprefix("http://a")
        assert limits.seconds > 0
        if not self.seconds:
            raise EndedError
        began, asked = self.clock.now, msgspec.json.decode(body)
        self.sent.append((began, url.removeprefix("http://a"), asked))
        if (refused := self.refuses(url, asked)) is not None:
            self.seconds.pop(0)
            return refused
        self.clock.now += self.seconds.pop(0)
        now = self.clock.now
        return Reply(
            Outcome.OK,
            began,
            now,
            first_byte=now,
            first_token=now,
            first_answer=now,
            last_token=now,
            chunks=1,
            usage=Usage(100, 16),
            reused=True,
        )


def run(client: Scripted, plan: Plan, heard: Heard | None = None, at: Callable[[float], None] | None = None) -> Prober:
    """Probe until the answers are used up; `at` is called with the time whenever the prober sleeps."""
    clock = client.clock
    nonces = iter(range(1000))
    told = heard or Heard()

    async def sleep(seconds: float) -> None:
        clock.now += max(seconds, 1e-4)
        if at is not None:
            at(clock.now)

    prober = Prober(
        "http://a",
        "shown",
        plan,
        told,
        clock=Clock(clock.wall, clock.mono),
        nonce=lambda: f"nonce-{next(nonces)}",
        sleep=sleep,
    )
    with pytest.raises(EndedError):
        asyncio.run(prober.run(client, Lag()))
    return prober


def moments(client: Scripted) -> list[float]:
    return [moment for moment, _, _ in client.sent]


def test_requests_keep_to_their_moments() -> None:
    """Slow or fast answers do not move the schedule: request k is sent at start + k * interval."""
    client = Scripted(StepClock(), 0.1, 6.0, 0.1, 3.0, 0.1)
    run(client, Plan(interval=10.0))
    assert moments(client) == pytest.approx([1.0, 11.0, 21.0, 31.0, 41.0], abs=0.001)


def test_an_overrun_is_counted_with_what_it_waited() -> None:
    """While one request takes 25 s, two planned ones cannot be sent: they took at least 15 s and 5 s."""
    client = Scripted(StepClock(), 0.1, 0.1, 25.0, 0.1)
    prober = run(client, Plan(interval=10.0))
    assert moments(client) == pytest.approx([1.0, 11.0, 21.0, 51.0], abs=0.001)
    assert prober.tally.counters[SKIPPED.format("overrun")] == 2
    waited = [
        each.sum
        for name, each in prober.tally.histograms.items()
        if name.startswith("probe_ttft_censored_seconds") and each.count
    ]
    assert sorted(waited) == pytest.approx([5.1, 15.1], abs=0.01)


def test_cold_and_warm_take_turns() -> None:
    """A cold prompt begins with a text that no other has, a warm one with always the same; both are of one length."""
    client = Scripted(StepClock(), *[0.1] * 6)
    prober = run(client, Plan(model="named"))
    prompts = [body["messages"][0]["content"] for _, _, body in client.sent]  # type: ignore[index] # it is JSON
    cold, warm = prompts[0::2], prompts[1::2]
    assert len({text.split()[0] for text in cold}) == 3
    assert len(set(warm)) == 1
    assert warm[0] not in cold
    assert {len(text) for text in prompts} == {len(warm[0])}
    assert {body["model"] for _, _, body in client.sent} == {"named"}
    assert prober.tally.histograms['probe_ttft_seconds{prefix="cold"}'].count == 2
    assert prober.tally.histograms['probe_ttft_seconds{prefix="warm"}'].count == 2


def test_the_first_two_after_a_start_are_left_out_and_after_a_restart_again() -> None:
    """Requests that load, compile and fill caches count as sent, not as latencies."""
    heard = Heard()

    def restart(now: float) -> None:
        start = 0.0 if now < 35 else 30.0
        heard.hear(Sample("http://a", Source.SERVER, now, now, gauges={"start_time_seconds": start}))

    client = Scripted(StepClock(), *[0.1] * 8)
    prober = run(client, Plan(), heard, restart)
    assert prober.tally.counters[OK] == 8
    assert prober.tally.counters['probe_left_out{reason="warm_up"}'] == 4


@pytest.mark.parametrize("force", [False, True])
def test_it_keeps_away_from_a_queue_unless_forced(force: bool) -> None:
    """Once requests have waited for over 30 s nothing is sent, until none waits."""
    heard = Heard()

    def hear(now: float) -> None:
        waiting = 4.0 if now < 95 else 0.0
        heard.hear(Sample("http://a", Source.SERVER, now, now, gauges={"requests_waiting": waiting}))

    client = Scripted(StepClock(), *[0.1] * 5)
    prober = run(client, Plan(force=force), heard, hear)
    if force:
        assert moments(client) == pytest.approx([1.0, 11.0, 21.0, 31.0, 41.0], abs=0.001)
        assert prober.tally.counters[SKIPPED.format("queue")] == 0
    else:
        assert moments(client) == pytest.approx([1.0, 11.0, 21.0, 31.0, 101.0], abs=0.001)
        assert prober.tally.counters[SKIPPED.format("queue")] == 6


def test_it_keeps_to_its_budget() -> None:
    """A budget for one request in 30 s is not spent on one in 10 s, and both prompts have their turn."""
    client = Scripted(StepClock(), *[0.1] * 40)
    prober = run(client, Plan(tokens_per_hour=116.0 * 120))
    assert moments(client)[-1] > 600
    assert prober.tally.counters[SKIPPED.format("budget")] > 30
    assert prober.held == ""
    counts = [prober.tally.histograms[f'probe_ttft_seconds{{prefix="{prefix}"}}'].count for prefix in ("cold", "warm")]
    assert counts == [19, 19]


def test_a_model_without_a_chat_template_is_asked_otherwise() -> None:
    """A chat that is refused as a bad request is tried as a completion, which then is kept to."""
    client = Scripted(StepClock(), *[0.1] * 4)
    client.refuses = lambda url, _body: (
        Reply(Outcome.REFUSED, 0.0, 0.0, "400: no chat template", status=400) if "chat" in url else None
    )
    prober = run(client, Plan())
    assert [path for _, path, _ in client.sent] == ["/v1/chat/completions", *["/v1/completions"] * 3]
    assert (prober.trouble, prober.budget.spent) == ("", 3 * 116)
    assert {body["model"] for _, _, body in client.sent} == {"first"}


def test_a_salt_that_is_not_understood_is_left_away() -> None:
    """On vLLM the prefix cache is keyed by a salt; a version that refuses it is asked without."""
    heard = Heard()
    heard.hear(Sample("http://a", Source.SERVER, 0.0, 0.0, facts={"engine": "vllm"}))
    client = Scripted(StepClock(), *[0.1] * 3)
    client.refuses = lambda _url, body: (
        Reply(Outcome.REFUSED, 0.0, 0.0, "400: cache_salt is not supported", status=400)
        if "cache_salt" in body
        else None
    )
    run(client, Plan(), heard)
    assert ["cache_salt" in body for _, _, body in client.sent] == [True, False, False]
    assert {path for _, path, _ in client.sent} == {"/v1/chat/completions"}


def test_an_unknown_cost_is_charged_as_the_most_that_it_can_be() -> None:
    """A failure that tells no usage is not free."""
    client = Scripted(StepClock(), 0.1)
    client.refuses = lambda _url, _body: Reply(Outcome.FAILED, 0.0, 0.0, "broke off")
    prober = run(client, Plan())
    assert (prober.budget.spent, prober.budget.estimated, prober.trouble) == (146, True, "broke off")
