from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from collectors.clock import Clock
from collectors.fetch import Fetch
from collectors.quality.chat import Chat
from collectors.quality.embedder import Embedder, Endpoint
from collectors.quality.examiner import Examiner, Plan
from collectors.quality.items import BadLine, Items
from metrics.quality import Arm, Exact, Graded, Item, Outcome, Reply

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.openai_server import Model

ITEMS = tuple(Item(f"q{n}", "sums" if n % 2 else "words", f"question {n}", Exact((f"answer {n}",))) for n in range(4))
STORY = Item("s", "story", "tell it again", Exact(("the story",)), consistency=True)


def grade(item: Item, reply: Reply) -> Graded:
    """Right is what is equal: nothing else is needed here."""
    right = isinstance(item.check, Exact) and reply.text in item.check.answers
    outcome = Outcome.RIGHT if right else Outcome.WRONG
    return Graded(item.id, item.family, outcome, digest=reply.text, cached_tokens=reply.cached_tokens)


class Time:
    """A clock that stands still except when somebody sleeps."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []
        self.on_sleep: Callable[[], None] = lambda: None
        self.clock = Clock(wall=lambda: 1.8e9 + self.now, mono=lambda: self.now)

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds
        self.on_sleep()


def examine(
    model: Model,
    items: tuple[Item, ...] = ITEMS,
    time: Time | None = None,
    *,
    passes: int = 1,
    tokens_per_hour: float = 60_000,
    waiting: Callable[[], float] = lambda: 0.0,
    held_out: Callable[[str, float], bool] = lambda _item, _wall: False,
    ruler: str | None = None,
) -> Examiner:
    """Pass over the items, and give what was found."""
    time = time or Time()

    async def run() -> Examiner:
        fetch, measure = Fetch(deadline=5.0), Fetch(deadline=5.0)
        plan = Plan(
            Items(items, (BadLine(3, "it is not UTF-8"),)), grade, tokens_per_hour, waiting=waiting, held_out=held_out
        )
        embedder = Embedder(Endpoint(ruler, ruler), measure) if ruler else "nobody embeds"
        examiner = Examiner(plan, Chat(model.url, model.url, fetch), time.clock, time.sleep, embedder=embedder)
        for _ in range(passes):
            await examiner.examine()
        await measure.close()
        await fetch.close()
        return examiner

    return asyncio.run(run())


def test_every_item_is_asked_once(model: Model) -> None:
    """One at a time, the families in turn; what came of it and what it cost is counted."""
    model.say = lambda prompt: prompt.replace("question", "answer") if "3" not in prompt else "no idea"
    time = Time()
    examiner = examine(model, time=time)
    assert model.asked == ["question 0", "question 1", "question 2", "question 3"]
    assert [(each.item, each.outcome.value) for each in examiner.take()] == [
        *(("q0", "right"), ("q1", "right"), ("q2", "right"), ("q3", "wrong")),
    ]
    assert examiner.take() == ()
    assert examiner.counters == {
        'quality_items{family="words",outcome="right"}': 2.0,
        'quality_items{family="sums",outcome="right"}': 1.0,
        'quality_items{family="sums",outcome="wrong"}': 1.0,
        "quality_prompt_tokens": 40.0,
        "quality_output_tokens": 12.0,
    }
    assert time.slept == []


def test_a_server_that_fails_is_given_time(model: Model) -> None:
    """A question without an answer is no wrong one; the pauses double, and an answer ends them."""
    model.say = lambda prompt: "fine" if "2" in prompt else (500, b"out of memory")
    time = Time()
    examiner = examine(model, time=time)
    assert [each.outcome.value for each in examiner.take()] == ["failed", "failed", "wrong", "failed"]
    assert time.slept == [5.0, 10.0, 5.0]
    assert any("out of memory" in each.why for each in examiner.missing())


def test_nothing_is_asked_while_requests_wait(model: Model) -> None:
    """The canary stands behind everybody: it looks again after 5 s, and says what it waits for."""
    time, queue = Time(), [7.0, 2.0]
    told: list[str] = []

    def on_sleep() -> None:
        told.append(f"{len(model.asked)} asked")
        queue.pop(0)

    time.on_sleep = on_sleep
    examine(model, time=time, waiting=lambda: queue[0] if queue else 0.0)
    assert told == ["0 asked", "0 asked"]
    assert time.slept == [5.0, 5.0]
    assert len(model.asked) == 4


def test_the_budget_is_kept(model: Model) -> None:
    """An answer takes 13 tokens of 100 an hour; a question that may take 69 is not asked while there is no room."""
    time = Time()
    examine(model, time=time, tokens_per_hour=100)
    assert len(model.asked) == 4
    assert time.slept == [3600.0]


def test_a_model_that_reasons_gets_room(model: Model) -> None:
    """Where thoughts used up all the tokens, it is asked again with 16 times as many, and so are all later items."""
    sent = iter([{"reasoning_content": "hm"}])

    def say(prompt: str) -> object:
        message = next(sent, None)
        return {"choices": [{"message": message, "finish_reason": "length"}]} if message else f"answer {prompt[-1]}"

    model.say = say
    examiner = examine(model)
    assert model.asked[:2] == ["question 0", "question 0"]
    assert [body["max_tokens"] for body in model.bodies("/v1/chat/completions")] == [64, 1024, 1024, 1024, 1024]
    assert [each.outcome.value for each in examiner.take()] == ["right"] * 4


def test_three_arms(model: Model) -> None:
    """An item for consistency is asked cold, warm with the same salt, and cold with another, on every pass anew."""
    model.cached = lambda body: (
        8 if [each["cache_salt"] for each in model.bodies("/v1/chat/completions")].count(body["cache_salt"]) > 1 else 0
    )
    graded = examine(model, (STORY,), passes=2).take()
    assert [(each.arm, each.round, each.cached_tokens) for each in graded] == [
        *((Arm.COLD, 0, 0), (Arm.WARM, 0, 8), (Arm.AGAIN, 0, 0)),
        *((Arm.COLD, 1, 0), (Arm.WARM, 1, 8), (Arm.AGAIN, 1, 0)),
    ]
    salts = [body["cache_salt"] for body in model.bodies("/v1/chat/completions")]
    assert salts[0] == salts[1]
    assert len(set(salts)) == 4


def test_a_server_that_cannot_be_cold_is_asked_once(model: Model) -> None:
    """Then nothing is said of its cache, and why."""
    model.owned_by = "somebody"
    examiner = examine(model, (STORY,))
    assert [each.arm for each in examiner.take()] == [Arm.ONLY]
    assert any(each.what == "cache consistency" for each in examiner.missing())


def test_embeddings(model: Model, other: Model) -> None:
    """Another server embeds an answer of some words; the one under test is not asked for it."""
    model.say = lambda _: "It rains all day. It pours all night."
    other.embed = lambda text: [1.0, 1.0] if "question" in text else [1.0, 0.0]
    [first, *_] = examine(model, ruler=other.url).take()
    assert first.relevancy == pytest.approx(0.5**0.5)
    assert first.coherence == pytest.approx(1.0)
    assert model.bodies("/v1/embeddings") == []
    assert other.asked == []


def test_a_word_is_not_embedded(model: Model, other: Model) -> None:
    """The cosine of a question and one word tells of its length alone: it is not asked for."""
    other.embed = lambda _: [1.0, 0.0]
    assert {each.relevancy for each in examine(model, ruler=other.url).take()} == {None}
    assert other.requests == []


def test_embeddings_that_fail(model: Model, other: Model) -> None:
    """They are asked for once in a pass, the reason is told, and the questions go on."""
    model.say = lambda _: "It rains all day. It pours all night."
    examiner = examine(model, ruler=other.url, passes=2)
    assert len(other.bodies("/v1/embeddings")) == 2
    assert len(model.asked) == 8
    assert [each.why for each in examiner.missing() if each.what == "relevancy and coherence"] == [
        f'not measured: 404 from {other.url}/v1/embeddings: "Not Found"'
    ]


def test_nobody_embeds(model: Model) -> None:
    """Without such a server they are not measured, and why; the server under test never measures itself."""
    model.say = lambda _: "It rains all day. It pours all night."
    model.embed = lambda _: [1.0, 0.0]
    examiner = examine(model)
    assert model.bodies("/v1/embeddings") == []
    assert [each.why for each in examiner.missing() if each.what == "relevancy and coherence"] == ["nobody embeds"]


def test_what_is_held_out_is_asked_once_a_day(model: Model) -> None:
    """The first pass asks everything; then the half that is held out is left alone until a day is over."""
    time = Time()

    def held_out(item: str, _wall: float) -> bool:
        return item in {"q0", "q1"}

    async def run() -> None:
        fetch = Fetch(deadline=5.0)
        plan = Plan(Items(ITEMS, ()), grade, held_out=held_out)
        examiner = Examiner(plan, Chat(model.url, model.url, fetch), time.clock, time.sleep, embedder="nobody embeds")
        for hours in (0, 1, 22, 1):
            time.now += hours * 3600
            await examiner.examine()
        await fetch.close()

    asyncio.run(run())
    each = {name: model.asked.count(f"question {name}") for name in range(4)}
    assert each == {0: 2, 1: 2, 2: 4, 3: 4}


def test_half_of_the_items_meet_a_cold_cache(model: Model) -> None:
    """Always the same half has a new salt on each pass; the other shares the one of this run."""
    examine(model, passes=2)
    salts: dict[str, list[str]] = {}
    for body in model.bodies("/v1/chat/completions"):
        salts.setdefault(body["messages"][0]["content"], []).append(body["cache_salt"])
    warm = {name for name, (one, two) in salts.items() if one == two}
    assert warm == {"question 1", "question 3"}
    assert len({salt for name in warm for salt in salts[name]}) == 1
    assert len({salt for each in salts.values() for salt in each}) == 1 + 2 * 2
    assert examine(model).take()  # another run has another salt
    last = [body["cache_salt"] for body in model.bodies("/v1/chat/completions")][-4:]
    assert not {salt for each in salts.values() for salt in each} & set(last)


def test_an_answer_without_usage_is_charged_as_the_most_it_may_have_been(model: Model) -> None:
    """Else a server that does not tell what it took would never come to the end of a budget."""
    model.say = lambda _: {"choices": [{"message": {"content": "fine"}}]}
    time = Time()
    examiner = examine(model, time=time, tokens_per_hour=100)
    assert examiner.estimated
    assert not [name for name in examiner.counters if "tokens" in name], "what is not known is no 0"
    assert examiner.budget.spent == 4 * (len("question 0") // 3 + 64)
    assert time.slept == [3600.0] * 3


def test_bad_lines_are_told(model: Model) -> None:
    """What cannot be asked is named with the first line and its reason."""
    told = [each for each in examine(model).missing() if each.what == "some lines of the quality file"]
    assert [each.why for each in told] == ["1 cannot be used, the first: line 3: it is not UTF-8"]


def test_passes_begin_once_an_hour(model: Model) -> None:
    """A new pass begins an hour after the one before it began, however long that took."""
    time = Time()

    async def run() -> None:
        fetch = Fetch(deadline=5.0)
        plan = Plan(Items(ITEMS, ()), grade)
        examiner = Examiner(plan, Chat(model.url, model.url, fetch), time.clock, time.sleep, embedder="nobody embeds")
        asking = asyncio.create_task(examiner.run())

        def on_sleep() -> None:
            if examiner.passes == 2:
                asking.cancel()

        time.on_sleep = on_sleep
        await asyncio.wait([asking], timeout=10)
        assert asking.cancelled()
        await fetch.close()

    model.say = lambda prompt: (500, b"") if "0" in prompt else "fine"
    asyncio.run(run())
    assert time.slept == [5.0, 3595.0, 5.0, 3595.0]


def test_only_what_is_asked_in_arms_is_asked_for_probabilities(model: Model) -> None:
    """They are for holding warm against cold; the other questions go without."""
    examine(model, (*ITEMS, STORY))
    asked = [(body["messages"][0]["content"], "logprobs" in body) for body in model.bodies("/v1/chat/completions")]
    assert set(asked) == {(STORY.prompt, True), *((item.prompt, False) for item in ITEMS)}
