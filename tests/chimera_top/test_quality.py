"""`--quality`: from a file of questions to the Snapshot, against a server on a real socket."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest

from chimera_top.cli import run
from chimera_top.config import Settings
from chimera_top.judge import judge
from chimera_top.quality import examined, quality_plan
from collectors.clock import Clock
from collectors.quality.canary import NO_ENDPOINT, Canary
from collectors.quality.items import load, prompt
from collectors.server import ServerCollector
from insight.quality.score import quality_facts
from metrics.quality import Choice, Contains, Exact, Item, Json, Number, Outcome, Stops, TokenF1
from metrics.sample import Sample, Source
from metrics.store import Store
from metrics.view import View
from tests.openai_server import Model

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from metrics.snapshot import Snapshot

BUILTIN = load("builtin").items
FORMATS = {
    "format-01": "2024-03-07",
    "format-02": "RIVER",
    "format-03": "1, 2, 3, 4, 5",
    "format-04": "apple\npear\nplum",
    "format-05": "[blue]",
    "format-06": "09:15",
    "format-07": "l-a-m-p",
    "format-08": "apple cloud stone",
    "format-09": "1010",
    "format-10": "Yes.",
}
JSONS: dict[str, object] = {
    "json-01": {"name": "Ida", "age": 34},
    "json-02": ["red", "yellow", "blue"],
    "json-03": {"odd": True},
    "json-04": {"city": "Oslo", "population": 700_000},
    "json-05": {"tool": "weather", "arguments": {"town": "Bergen", "unit": "celsius"}},
    "json-06": {"x": 3, "y": -2},
    "json-07": [{"fruit": "pear", "sweet": True}, {"fruit": "lemon", "sweet": False}],
    "json-08": {"owner": None, "tags": []},
}


def right(item: Item) -> str:
    """Answer as a good model does."""
    match item.check:
        case Exact() | TokenF1() | Contains():
            return item.check.answers[0] + "."
        case Number():
            return f"{item.check.value:g}"
        case Choice():
            return f"{item.check.answer})"
        case Json():
            return f"```json\n{json.dumps(JSONS[item.id])}\n```"
        case Stops():
            return "A fork, a pan and a kettle."
        case _:
            return FORMATS[item.id]


ANSWERS_IN_A_PASS = sum(3 if item.consistency else 1 for item in BUILTIN)
ANSWERS = {prompt(item): right(item) for item in BUILTIN}


@pytest.fixture(autouse=True)
def _own_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))


@pytest.fixture
def model() -> Iterator[Model]:
    server = Model()
    yield server
    server.close()


def seen(model: Model, quality: str, questions: int, **more: Any) -> Snapshot:
    """Let the canary that the settings ask for put so many questions, and assess."""
    settings = Settings(targets=(model.url,), quality=(quality,), gpu=False, **more)
    return judge(settings, "report").snapshot(watched(model, settings, questions))


def watched(model: Model, settings: Settings, questions: int) -> View:
    """Let the canary put so many questions."""
    clock = Clock()
    [server, canary] = examined(settings, [ServerCollector(model.url, clock=clock)], clock)
    assert (server.name, server.kind) == (model.url, Source.SERVER)
    assert isinstance(canary, Canary)
    store = Store()

    async def poll() -> Sample:
        count = 0
        for _ in range(4000):
            [sample] = await canary.collect()
            store.add(sample)
            count += len(sample.graded)
            if count >= questions:
                await canary.close()
                return sample
            await asyncio.sleep(0.005)
        raise AssertionError(f"{count} of {questions} questions were put")

    last = asyncio.run(poll())
    return View(store, last.mono, last.wall)


def test_a_good_model(model: Model) -> None:
    """Every item of the program's own set can be answered rightly, and then the score is 100 of 106 items."""
    model.say = lambda asked: ANSWERS[asked]
    found = seen(model, "builtin", ANSWERS_IN_A_PASS)
    assert found.quality is not None
    wrong = [part for part, each in found.quality["accuracy"].by.items() if each.value != 1.0]
    assert not wrong
    assert found.scorecard.quality.score == 100.0
    assert found.scorecard.quality.text == "100 % of 106 items right (96.5 % to 100 %)"
    assert {found.quality[name].value for name in ("f1", "macro_f1", "determinism", "cache_consistency")} == {1.0}
    assert [each.why for each in found.not_visible] == [NO_ENDPOINT]
    assert found.quality["tokens_spent"].value == 13 * ANSWERS_IN_A_PASS


def test_a_model_that_says_nothing_of_use(model: Model) -> None:
    """Only the items that ask for an end, and not for an answer, are right then."""
    model.say = lambda _: "I would rather talk of the weather, which was fine yesterday and may stay so."
    found = seen(model, "builtin", ANSWERS_IN_A_PASS)
    assert found.quality is not None
    families = {part: each for part, each in found.quality["accuracy"].by.items() if part.startswith("family=")}
    assert {part for part, each in families.items() if each.value} == {"family=termination"}


def test_a_model_that_is_cut_off(model: Model) -> None:
    """Answers that never end are wrong, and the score says that they were cut off."""
    model.say = lambda _: "well well well " * 20
    model.finish = "length"
    found = seen(model, "builtin", ANSWERS_IN_A_PASS)
    assert found.scorecard.quality.score == 0.0
    assert found.scorecard.quality.text.endswith("106 cut off")


def test_a_bad_line(model: Model, tmp_path: Path) -> None:
    """The rest of the file is used, and what cannot be asked stands under what could not be seen."""
    path = tmp_path / "mine.jsonl"
    path.write_text(
        '{"id": "a", "family": "own", "prompt": "1 + 1?", "check": {"type": "number", "value": 2}}\n'
        '{"id": "b", "family": "own", "prompt": "1 + 2?", "check": {"type": "number", "value": "three"}}\n'
    )
    model.say = lambda _: "2"
    found = seen(model, str(path), 1)
    assert found.quality is not None
    assert (found.quality["accuracy"].value, found.quality["accuracy"].count) == (1.0, 1.0)
    [told] = [each for each in found.not_visible if each.what == "some lines of the quality file"]
    assert told.why.startswith("1 cannot be used, the first: line 2: Expected `float`, got `str`")


def test_another_server_is_the_ruler(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    """`--embeddings` measures with another server, and each of the two gets its own token and never the other's."""
    ruler = Model()
    monkeypatch.setenv("MINE", "server-token-1")
    monkeypatch.setenv("RULER", "ruler-token-2")
    monkeypatch.setenv("EXTRA", "tenant-3")
    model.say = lambda asked: f"{ANSWERS[asked]} That is the whole of what there is to say about it today."
    ruler.embed = lambda text: [1.0, float(len(text) % 2)]
    found = seen(
        model,
        "builtin",
        ANSWERS_IN_A_PASS,
        token_env="MINE",  # noqa: S106 -- the name of a variable
        headers=("X-Tenant=EXTRA",),
        embeddings=ruler.url,
        embeddings_token_env="RULER",  # noqa: S106
    )
    ruler.close()
    assert found.quality is not None
    assert found.quality["relevancy"].count == 106.0
    assert found.not_visible == ()
    assert {path for path, _, _ in ruler.requests} == {"/v1/models", "/v1/embeddings"}
    for asked, own, others in (
        (model, "server-token-1", ("ruler-token-2",)),
        (ruler, "ruler-token-2", ("server-token-1", "tenant-3")),
    ):
        assert {headers["authorization"] for _, headers, _ in asked.requests} == {f"Bearer {own}"}
        assert not any(secret in str(request) for request in asked.requests for secret in others)


def test_a_server_does_not_measure_itself(model: Model) -> None:
    """Named as its own ruler, it is not asked for embeddings, and why they are not measured is told."""
    model.say = lambda _: "That is the whole of what there is to say about it today."
    model.embed = lambda _: [1.0]
    found = seen(model, "builtin", 5, embeddings=f"{model.url}/v1/")
    assert [each.why for each in found.not_visible] == [NO_ENDPOINT]
    assert model.bodies("/v1/embeddings") == []


def test_what_it_costs(model: Model) -> None:
    """In tokens, and with a price in dollars: as numbers, and in words as the probe says it."""
    settings = Settings(targets=(model.url,), quality=("builtin",), gpu=False, price=2.0)
    view = watched(model, settings, ANSWERS_IN_A_PASS)
    found = judge(settings, "report").snapshot(view).quality
    assert found is not None
    tokens = 13 * ANSWERS_IN_A_PASS
    assert found["tokens_spent"].value == tokens
    assert found["dollars_spent"].value == pytest.approx(tokens * 2e-6)
    said = quality_facts(view, model.url)["quality"]
    assert said == f"{tokens:,} tokens so far ($0.0034); never more than 60,000 an hour"


def test_the_queue_is_heard_of(model: Model) -> None:
    """The canary hears what its server's own metrics say of a queue."""
    settings = Settings(targets=(model.url,), quality=("builtin",))
    server, canary = examined(settings, [ServerCollector(model.url, clock=Clock())], Clock())
    assert isinstance(canary, Canary)
    heard = server._heard  # type: ignore[attr-defined] # what feeds it is not the collector's to show
    assert canary._plan.waiting() == 0.0
    heard.hear(Sample(model.url, Source.SERVER, 0.0, 0.0, gauges={'requests_waiting{engine="0"}': 3.0}))
    assert canary._plan.waiting() == 3.0


def test_nothing_is_asked_unasked(model: Model) -> None:
    """Without --quality there is no canary, and result files alone ask nothing."""
    collectors = [ServerCollector(model.url, clock=Clock())]
    assert examined(Settings(), collectors, Clock()) == collectors
    assert quality_plan(Settings(quality=("results.json",))) is None


def test_results_are_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str], model: Model) -> None:
    """`--quality results_x.json` puts what lm-eval measured into the report, and asks nothing."""
    path = tmp_path / "results_1.json"
    path.write_text(
        '{"results": {"gsm8k": {"exact_match,strict-match": 0.5}}, "n-samples": {"gsm8k": {"effective": 50}}}'
    )
    code = run(["report", model.url, "--no-gpu", "--for", "1s", "--format", "json", "--quality", str(path)])
    assert code == 0
    [(name, measure)] = json.loads(capsys.readouterr().out)["quality"].items()
    assert name == "gsm8k/exact_match,strict-match"
    assert (measure["value"], measure["count"], measure["source"]) == (0.5, 50.0, "imported")
    assert model.asked == []


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["--quality", "/no/such.jsonl"], "--quality: cannot read the quality file /no/such.jsonl: No such file"),
        (["--quality", "/no/such.json"], "--quality: cannot read /no/such.json: No such file"),
        (["--quality", "{bad}"], "holds no usable item: line 1: "),
        (["--quality", "{other}"], "it is neither a result file of lm-eval"),
        (["--quality", "builtin", "--quality", "{bad}"], "one file of questions at a time"),
        (["--quality", "builtin", "--quality-budget", "10"], "quality_budget: 10 tokens an hour do not pay"),
        (["--quality", "builtin", "--price", "-1"], "price: -1.0 is no price"),
        (["--quality", "builtin", "--embeddings", "ftp://a"], "--embeddings: unusable URL 'ftp://a'"),
        (
            ["--quality", "builtin", "--embeddings", "a:1", "--embeddings-token-env", "NO_SUCH"],
            "--embeddings-token-env names the environment variable 'NO_SUCH', which is not set",
        ),
    ],
)
def test_what_is_unusable_is_said_at_once(
    argv: list[str], words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """In one line on stderr, before anything is watched."""
    (tmp_path / "bad.jsonl").write_text("nonsense\n")
    (tmp_path / "other.json").write_text("{}")
    names = {"{bad}": str(tmp_path / "bad.jsonl"), "{other}": str(tmp_path / "other.json")}
    assert run(["report", "--no-gpu", "--for", "1s", *(names.get(each, each) for each in argv)]) == 64
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert words in err


def test_outcomes_are_four() -> None:
    """Names that recordings and counters hold: they may be added to, never changed."""
    assert [each.value for each in Outcome] == ["right", "wrong", "cut", "failed"]
