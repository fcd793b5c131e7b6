"""Tokens of running requests, from llama.cpp's `/slots`, against a real server's and against a made-up one's truth."""

from __future__ import annotations

import bisect
import json
import tarfile
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.engines.dialect import Reading, read
from collectors.engines.llamacpp import AT_THE_END, LLAMACPP, TOKENS
from collectors.engines.llamacpp_slots import Generated, decoded
from collectors.exposition import Parser
from metrics.sample import Sample, Source, State
from metrics.store import Store
from metrics.view import View
from tests.captures import FOLDER, URL


def page(ended: float, steps: float = 0.0) -> Reading:
    return Reading(
        counters={TOKENS: ended, "engine_steps": steps},
        facts={"engine": "llamacpp", "lumpy_counters": f"output_seconds_total, {TOKENS}"},
        missing=LLAMACPP.absent,
    )


@pytest.mark.parametrize(
    ("body", "tasks"),
    [
        (b'[{"id":0,"is_processing":false}]', {}),
        (b'[{"is_processing":true,"id_task":7,"next_token":[{"n_decoded":41}]}]', {7: 41}),
        (b'[{"is_processing":true,"id_task":7,"next_token":{"n_decoded":41}}]', {7: 41}),
        (b'[{"is_processing":true,"id_task":7}]', {7: 0}),
        (b'[{"is_processing":false,"id_task":7,"next_token":[{"n_decoded":41}]}]', {}),
        (b'[{"state":1,"id_task":3,"next_token":{"n_decoded":5}},{"state":0,"id_task":2}]', {3: 5}),
        (b'[{"is_processing":true,"id_task":7,"next_token":[]}]', {7: 0}),
        (b"[]", {}),
        (b'{"error":{"code":501}}', None),
        (b"[1]", None),
        (b"", None),
    ],
)
def test_slots_of_every_age(body: bytes, tasks: dict[int, int] | None) -> None:
    """The token is an object or a list of one, `state` stood for `is_processing`; what is no list of slots is none."""
    assert decoded(body) == tasks


def test_what_runs_is_counted_and_nothing_is_lumpy_then() -> None:
    """120 tokens of requests that ended, 41 and 5 of two that run: 166; the page alone says 120."""
    found = Generated().busy(page(120.0), {7: 41, 8: 5})
    assert found.counters[TOKENS] == 166.0
    assert found.facts["lumpy_counters"] == "output_seconds_total"
    assert AT_THE_END not in found.missing


def test_an_end_between_the_two_requests_takes_nothing_away() -> None:
    """A request that ended after the page and before `/slots` is in neither: the count stays, and then has it all."""
    server = Generated()
    assert server.busy(page(0.0), {7: 90, 8: 10}).counters[TOKENS] == 100.0
    assert server.busy(page(0.0), {8: 30}).counters[TOKENS] == 120.0
    assert server.busy(page(100.0), {8: 40}).counters[TOKENS] == 140.0


def test_an_end_between_the_two_is_not_taken_for_a_loss() -> None:
    """The last request ends between page and `/slots`: its tokens come with the next page, and are counted once."""
    server = Generated()
    server.busy(page(0.0), {7: 90})
    assert server.busy(page(0.0), {}).counters[TOKENS] == 90.0
    assert server.idle(page(100.0)).counters[TOKENS] == 100.0


def test_tokens_that_the_server_never_counts_stay_counted() -> None:
    """A client goes away after 50 tokens that an older build never counts: what the next one gets is growth at once."""
    server = Generated()
    server.busy(page(0.0), {7: 50})
    assert server.idle(page(0.0)).counters[TOKENS] == 50.0
    assert server.busy(page(0.0), {8: 20}).counters[TOKENS] == 70.0
    assert server.idle(page(30.0)).counters[TOKENS] == 80.0


def test_a_busy_server_that_loses_a_request_does_not_stand_still() -> None:
    """A client goes away while another is served: the count goes on with what that one gets."""
    server = Generated()
    server.busy(page(0.0), {7: 500, 8: 10})
    assert server.busy(page(0.0), {8: 30}).counters[TOKENS] == 530.0


def test_a_restart_begins_anew() -> None:
    """A counter of the page fell: nothing of before is counted, so that the Store sees the restart too."""
    server = Generated()
    server.busy(page(0.0, steps=90.0), {7: 500})
    assert server.busy(page(0.0, steps=3.0), {1: 2}).counters[TOKENS] == 2.0


def test_without_slots_the_page_stands_and_says_so() -> None:
    """Where `/slots` tells nothing the counter moves when a request ends; it does not fall back to before."""
    server = Generated()
    server.busy(page(100.0), {7: 40})
    found = server.unseen(page(100.0), "501 from /slots")
    assert found.counters[TOKENS] == 140.0
    assert TOKENS in found.facts["lumpy_counters"]
    [told] = [each for each in found.missing if each.what == AT_THE_END.what]
    assert told.why == f"{AT_THE_END.why}, and 501 from /slots"
    assert server.unseen(page(160.0), "501 from /slots").counters[TOKENS] == 160.0


def test_a_page_without_the_counter_stays_without() -> None:
    """What the page does not count is not known, whatever the slots say."""
    found = Generated().busy(Reading(counters={"engine_steps": 4.0}), {7: 41})
    assert TOKENS not in found.counters


def _printed(value: float) -> float:
    return float(f"{value:.6g}")


_STEP = st.lists(
    st.tuples(st.integers(0, 3), st.integers(0, 40), st.sampled_from(["go", "end", "abort"])), min_size=1, max_size=4
)
_POLLS = st.lists(st.tuples(_STEP, _STEP, st.sampled_from(["seen", "seen", "seen", "unseen"])), max_size=40)


@given(_POLLS, st.sampled_from([0, 999_000, 1_234_567, 12_345_678]))
def test_never_more_than_was_generated_and_never_less_than_before(polls: list[Any], before: int) -> None:
    """Requests grow, end and are aborted, also between page and `/slots`, and some polls see no slots.

    The count never falls, is never above the truth by more than the page rounds, and never below what the page says.
    """
    slots: dict[int, tuple[int, int]] = {}
    counted, truth, task, last = before, before, 0, 0.0
    server = Generated()

    def work(step: list[tuple[int, int, str]]) -> None:
        nonlocal counted, truth, task
        for slot, tokens, then in step:
            if slot not in slots:
                task += 1
                slots[slot] = (task, 0)
            slots[slot] = (slots[slot][0], slots[slot][1] + tokens)
            truth += tokens
            if then != "go":
                counted += slots.pop(slot)[1] if then == "end" else 0

    for first, between, seen in polls:
        work(first)
        said, idle = page(_printed(counted)), not slots
        work(between)
        if seen == "unseen":
            found = server.unseen(said, "why")
        elif idle:
            found = server.idle(said)
        else:
            found = server.busy(said, dict(slots.values()))
        now = found.counters[TOKENS]
        rounding = 0 if truth < 1_000_000 else 10 ** (len(str(truth)) - 6)
        assert now >= last
        assert now >= said.counters[TOKENS]
        assert now <= truth + 2 * rounding
        last = now


def test_a_real_server_against_the_tokens_that_its_client_saw() -> None:
    """Over 1, 10 and 60 s the rate is within 2 % of what came, where the page alone is 66, 15 and 4 % off; no 0."""
    with tarfile.open(FOLDER / "llamacpp.tar.xz") as archive:
        files = {each.name: archive.extractfile(each).read() for each in archive}  # type: ignore[union-attr] # all are files
    rows = {
        name: [json.loads(line) for line in files[f"{name}.jsonl"].splitlines()]
        for name in ("index", "client", "slots")
    }
    slots = {each["n"]: json.dumps(each["body"]).encode() for each in rows["slots"]}
    came = sorted(each["t_send"] + at for each in rows["client"] for at in each.get("token_times") or ())
    store, server, parser = Store(), Generated(), Parser()
    errors: dict[float, float] = dict.fromkeys((1.0, 10.0, 60.0), 0.0)
    whole = dict.fromkeys(errors, 0.0)
    for scrape in rows["index"]:
        moment = scrape["t"] + scrape["dt"] / 2
        if scrape.get("status") != 200:
            store.add(Sample(URL, Source.SERVER, moment, moment, state=State.DOWN, reason="refused"))
            continue
        said = read(LLAMACPP, parser.parse(files[f"{scrape['n']:04d}.prom"]))
        running = said.gauges["requests_running"] > 0
        tasks = decoded(slots[scrape["n"]]) if running else {}
        assert tasks is not None
        found = server.busy(said, tasks) if running else server.idle(said)
        store.add(Sample(URL, Source.SERVER, moment, moment, counters=found.counters, facts=found.facts))
        source = View(store, moment, moment).of(URL)
        for window in errors:
            increase = source.increase(TOKENS, window)
            if increase is None or not increase.seconds:
                continue
            true = (bisect.bisect(came, moment) - bisect.bisect(came, moment - increase.seconds)) / increase.seconds
            if true >= 2.0:
                rate = source.rate(TOKENS, window)
                assert rate
                errors[window] += abs(rate - true)
                whole[window] += true
    assert {window: error / whole[window] < 0.02 for window, error in errors.items()} == dict.fromkeys(errors, True)
    newest = store.sources[URL].newest_ok
    assert newest is not None
    assert newest.counters[TOKENS] == 1742.0  # what the last page says: with nothing running, not one more
