"""What came of a mark."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from insight.since_mark import Marks
from metrics.effect import Effect, Grade
from metrics.finding import Recommendation
from metrics.histogram import Histogram
from metrics.sample import Event, Sample, Source, State
from metrics.store import Store
from metrics.view import View

if TYPE_CHECKING:
    from metrics.snapshot import SinceMark

URL = "http://127.0.0.1:8000"
WALL = 1_800_000_000.0
BOUNDS = (0.5, 1.0, 2.5)


class Server:
    """A server that finishes `rate` requests a second with one TTFT and one ITL, and its monitor."""

    def __init__(self) -> None:
        self.store = Store()
        self.marks = Marks()
        self.now = 0.0
        self.wall = WALL
        self.finished = 0.0
        self.ttft = [0.0] * 4
        self.ttft_sum = self.itl_sum = self.itl_count = 0.0

    def run(self, seconds: int, rate: float, ttft: float, itl: float, state: State = State.OK) -> None:
        for _ in range(seconds):
            self.now += 1.0
            self.finished += rate
            self.ttft[next((i for i, bound in enumerate(BOUNDS) if ttft <= bound), 3)] += rate
            self.ttft_sum += rate * ttft
            self.itl_count += rate * 100
            self.itl_sum += rate * 100 * itl
            self.poll(state)

    def poll(self, state: State = State.OK) -> None:
        self.store.add(
            Sample(
                URL,
                Source.SERVER,
                self.wall + self.now,
                self.now,
                state=state,
                counters={"requests_finished": self.finished},
                gauges={"requests_running": 2.0, "requests_waiting": 0.0},
                histograms={
                    "ttft_seconds": Histogram(BOUNDS, tuple(self.ttft), self.ttft_sum),
                    "itl_seconds": Histogram((0.05,), (self.itl_count, 0.0), self.itl_sum),
                },
            )
        )

    def mark(self, text: str = "mark 1") -> None:
        event = Event(self.wall + self.now, "mark", text)
        self.store.add(Sample("monitor", Source.MONITOR, self.wall + self.now, self.now, events=(event,)))

    def restart(self) -> None:
        """Begin to count anew."""
        self.finished = self.ttft_sum = self.itl_sum = self.itl_count = 0.0
        self.ttft = [0.0] * 4

    def since(self, advised: tuple[Recommendation, ...] = (), window: float = 300.0) -> tuple[SinceMark, ...]:
        return self.marks.since(View(self.store, self.now, self.wall + self.now), window, advised)


def advice(quantity: str, target: str | None = URL, basis: str = "model") -> Recommendation:
    effect = Effect(quantity, 0.045, 0.028, 0.031, 0.034, "s", basis, Grade.B)
    return Recommendation("cap", "Cap the batch", (), effect, (), target=target)


def changed(seconds: int = 120, rate: float = 3.0) -> Server:
    """A server that got faster at a mark."""
    server = Server()
    server.run(200, 3.0, 2.0, 0.045)
    server.mark()
    server.run(seconds, rate, 0.9, 0.031)
    return server


def test_without_a_mark_there_is_nothing() -> None:
    """Who marked nothing is told nothing."""
    server = Server()
    server.run(100, 3.0, 2.0, 0.045)
    assert server.since() == ()


def test_means_rates_and_bounds_before_and_since() -> None:
    """The means and rates are those of the two times, exactly; a quantile has the bounds of its bucket."""
    (found,) = changed().since()
    assert (found.mark, found.target, found.why, found.alike) == ("mark 1", URL, "", True)
    assert (found.seconds, found.before_seconds) == (120.0, 199.0)
    before, after = found.before, found.after
    assert [each["itl_seconds"].mean for each in (before, after)] == [pytest.approx(0.045), pytest.approx(0.031)]
    assert [each["requests_finished"].rate for each in (before, after)] == [pytest.approx(3.0), pytest.approx(3.0)]
    old, new = before["ttft_seconds"].p95, after["ttft_seconds"].p95
    assert old is not None
    assert new is not None
    assert ((old.lo, old.hi), (new.lo, new.hi)) == ((1.0, 2.5), (0.5, 1.0))


def test_the_half_minute_after_a_mark_is_in_neither() -> None:
    """What still ran when the mark was set does not count for what came after it."""
    server = Server()
    server.run(200, 3.0, 2.0, 0.045)
    server.mark()
    server.run(29, 3.0, 2.0, 0.045)
    server.run(90, 3.0, 0.9, 0.031)
    (found,) = server.since()
    assert found.after["itl_seconds"].mean == pytest.approx(0.031, rel=0.02)


@pytest.mark.parametrize(
    ("server", "why"),
    [
        (changed(40), "told in 20 s"),
        (changed(120, 0.1), "9 requests since, and it takes 20"),
    ],
)
def test_too_little_to_tell_says_why(server: Server, why: str) -> None:
    """Before enough was seen there is a reason in place of a comparison."""
    assert server.since()[0].why == why


def test_too_short_before_the_mark_says_why() -> None:
    """A mark in the first seconds has nothing that it could be held against."""
    server = Server()
    server.run(20, 3.0, 2.0, 0.045)
    server.mark()
    server.run(120, 3.0, 0.9, 0.031)
    assert server.since()[0].why == "it was watched for 19 s before, and it takes 30 s"


def test_a_server_that_does_not_answer_says_so() -> None:
    """While a server is away nothing is compared."""
    server = changed()
    server.run(10, 0.0, 1.0, 1.0, State.DOWN)
    assert server.since()[0].why == "it does not answer"


def test_another_load_is_not_alike() -> None:
    """With 20 % more or fewer requests a second the numbers are of another load."""
    assert changed(rate=3.5).since()[0].alike is True
    assert changed(rate=4.0).since()[0].alike is False
    assert changed(rate=2.0).since()[0].alike is False


def test_after_a_restart_the_time_counts_from_it() -> None:
    """A change that takes a restart is in force from then on."""
    server = changed(60)
    server.run(20, 0.0, 1.0, 1.0, State.DOWN)
    server.restart()
    server.run(120, 3.0, 0.9, 0.020)
    (found,) = server.since()
    assert found.seconds == 119.0
    assert found.after["itl_seconds"].mean == pytest.approx(0.020)
    assert found.before["itl_seconds"].mean == pytest.approx(0.045)


def test_a_mark_soon_after_a_restart_means_the_restart() -> None:
    """Who restarts and then marks compares the server of before the restart with that of after it."""
    server = Server()
    server.run(200, 3.0, 2.0, 0.045)
    server.restart()
    server.run(60, 3.0, 0.9, 0.020)
    server.mark()
    server.run(60, 3.0, 0.9, 0.020)
    (found,) = server.since()
    assert found.before["itl_seconds"].mean == pytest.approx(0.045)
    assert found.after["itl_seconds"].mean == pytest.approx(0.020)
    assert found.why == ""


def test_the_time_before_a_second_mark_begins_at_the_first() -> None:
    """Each mark is held against the time since the mark before it."""
    server = changed(120)
    server.mark("mark 2")
    server.run(120, 3.0, 0.4, 0.010)
    (found,) = server.since()
    assert (found.mark, found.before_seconds) == ("mark 2", 90.0)
    assert found.before["itl_seconds"].mean == pytest.approx(0.031)


def test_a_restart_of_the_mark_before_is_not_that_of_the_newest() -> None:
    """A restart 20 s after one mark belongs to it, and not to the mark that is set three minutes later."""
    server = changed(20)
    server.restart()
    server.run(180, 3.0, 0.9, 0.031)
    server.mark("mark 2")
    server.run(100, 3.0, 0.4, 0.010)
    (found,) = server.since()
    assert (found.mark, found.why, found.seconds, found.before_seconds) == ("mark 2", "", 100.0, 149.0)
    assert found.before["itl_seconds"].mean == pytest.approx(0.031)


def test_a_restart_long_after_the_mark_ends_what_came_of_it() -> None:
    """What a crash 50 minutes after a mark brought is not of the mark."""
    server = changed(3000)
    server.restart()
    server.run(120, 3.0, 2.0, 0.090)
    (found,) = server.since()
    assert (found.why, found.seconds) == ("", 3000.0)
    assert found.after["itl_seconds"].mean == pytest.approx(0.031)


def test_a_server_that_begins_anew_too_soon_says_so() -> None:
    """Between two restarts of which the first is the mark's there may be too little, and it will not get more."""
    server = changed(290)
    server.restart()
    server.run(20, 3.0, 0.9, 0.031)
    server.restart()
    server.run(120, 3.0, 0.9, 0.031)
    (found,) = server.since()
    assert (found.why, found.seconds) == ("it began anew after 20 s, and it takes 1 min", 19.0)


@pytest.mark.parametrize("apart", [5, 40])
def test_marks_too_close_together_say_what_cut_the_time_before(apart: int) -> None:
    """The server was watched for long, but the mark before this one is too near."""
    server = changed(apart)
    server.mark("mark 2")
    server.run(120, 3.0, 0.9, 0.031)
    said = server.since()[0].why
    assert said == f"only {apart} s lie between the mark before and this one, and it takes 1 min"


def test_a_mark_soon_after_the_restart_of_another_says_what_cut_the_time_before() -> None:
    """A restart that is the mark before's cuts as well."""
    server = changed(40)
    server.restart()
    server.run(50, 3.0, 0.9, 0.031)
    server.mark("mark 2")
    server.run(120, 3.0, 0.9, 0.031)
    assert server.since()[0].why == "only 49 s lie between the restart before and this one, and it takes 1 min"


def test_a_server_that_came_after_the_mark_was_not_watched_before() -> None:
    """No length of time is below 0."""
    server = Server()
    server.mark()
    server.now += 10.0
    server.run(120, 3.0, 0.9, 0.031)
    assert server.since()[0].why == "it was watched for 0 s before, and it takes 30 s"


@pytest.mark.parametrize("step", [600.0, -600.0, 2.0])
def test_a_step_of_the_wall_clock_bends_no_mark(step: float) -> None:
    """Where the clock was set since the mark nothing is compared, and the time since is that of the other clock."""
    server = changed(20)
    server.wall += step
    server.run(100, 3.0, 0.9, 0.031)
    (found,) = server.since()
    assert (found.why, found.seconds, found.after) == ("the clock was set meanwhile", 120.0, {})


def test_the_newest_mark_is_the_last_whatever_the_clock_said() -> None:
    """A clock that is set back does not make the mark before it the newest."""
    server = changed(100)
    server.wall -= 3600.0
    server.mark("mark 2")
    server.run(10, 3.0, 0.9, 0.031)
    assert server.since()[0].mark == "mark 2"


def test_a_mark_without_a_text_has_its_number() -> None:
    """It can be spoken of."""
    server = changed(100)
    server.mark("")
    server.run(10, 3.0, 0.9, 0.031)
    assert server.since()[0].mark == "mark 2"


def test_an_old_mark_is_not_spoken_of() -> None:
    """After an hour nobody asks what came of it."""
    server = changed(3700)
    assert server.since() == ()
    assert server.since(window=21_600.0) != ()


def test_what_stood_at_the_mark_is_remembered() -> None:
    """The effect that was foretold when the mark was set stays with it, whatever is advised later."""
    server = Server()
    server.run(200, 3.0, 2.0, 0.045)
    stood = (advice("itl_seconds"), advice("itl_seconds"), advice("queue_seconds"), advice("ttft_seconds", "other"))
    server.since(stood)
    server.mark()
    server.run(1, 3.0, 0.9, 0.031)
    server.since((advice("ttft_seconds"),))
    server.run(90, 3.0, 0.9, 0.031)
    (found,) = server.since()
    assert [each.quantity for each in found.foretold] == ["itl_seconds"]


def test_advice_of_long_before_the_mark_did_not_stand_at_it() -> None:
    """What was advised a minute before the mark may have been withdrawn since."""
    server = Server()
    server.run(100, 3.0, 2.0, 0.045)
    server.since((advice("itl_seconds"),))
    server.run(60, 3.0, 2.0, 0.045)
    server.mark()
    server.run(90, 3.0, 0.9, 0.031)
    assert server.since()[0].foretold == ()
