"""`[[target]]` in the configuration file: what holds for one server alone, and that no other gets to see it."""

from __future__ import annotations

import asyncio
import ssl
from typing import TYPE_CHECKING

import pytest

from chimera_top.cli import run
from chimera_top.config import Settings, load
from chimera_top.exit import UsageError
from chimera_top.quality import examined
from chimera_top.sources import access, probed, servers
from collectors.clock import Clock
from metrics.sample import State
from tests.collectors.conftest import CERTIFICATE, Web
from tests.openai_server import Model

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from collectors.collector import Collector


@pytest.fixture
def two() -> Iterator[tuple[Model, Model]]:
    """Two servers that note what they are sent."""
    models = Model(), Model()
    yield models
    for each in models:
        each.close()


@pytest.fixture
def web() -> Iterator[Web]:
    """A server that answers as it is told to."""
    server = Web()
    server.start()
    yield server
    server.stop()


@pytest.fixture
def written(tmp_path: Path) -> Callable[[str], str]:
    """Write a configuration file."""

    def write(text: str) -> str:
        path = tmp_path / "config.toml"
        path.write_text(text, "utf-8")
        return str(path)

    return write


def poll(collectors: Sequence[Collector], until: Callable[[], bool] = lambda: True) -> list[State]:
    """Poll all, until what is awaited has come; then their states."""

    async def turn() -> list[State]:
        try:
            for _ in range(2000):
                states = [sample.state for each in collectors for sample in await each.collect()]
                if until():
                    return states
                await asyncio.sleep(0.005)
            raise AssertionError("what was awaited never came")
        finally:
            for each in collectors:
                await each.close()

    return asyncio.run(turn())


def sent(model: Model, header: str) -> set[str | None]:
    """List what a server was sent under a name, None for a request without it."""
    return {headers.get(header) for _, headers, _ in model.requests}


def test_a_secret_goes_to_its_own_server_alone(
    two: tuple[Model, Model], written: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Metrics, probe and questions of one server carry its token, and those of the other do not."""
    first, second = two
    monkeypatch.setenv("FIRST_TOKEN", "sesame-one")
    monkeypatch.setenv("TEAM", "red")
    config = written(
        f'targets = ["{second.url}"]\n[[target]]\nurl = "{first.url}"\n'
        'token_env = "FIRST_TOKEN"\nheaders = ["X-Team=TEAM"]\n'
    )
    settings = load({"config": config, "probe": True, "quality": ("builtin",)}, {})
    assert settings.targets == (second.url, first.url)
    clock = Clock()
    collectors = examined(settings, probed(settings, servers(settings, clock), clock), clock)
    assert [each.kind.value for each in collectors] == ["server", "quality", "probe"] * 2

    def all_asked() -> bool:
        chats = [len([each for each in model.requests if "completions" in each[0]]) for model in two]
        return min(chats) >= 2

    poll(collectors, all_asked)
    assert sent(first, "authorization") == {"Bearer sesame-one"}
    assert sent(first, "x-team") == {"red"}
    assert sent(second, "authorization") == {None}
    assert sent(second, "x-team") == {None}


def test_a_table_wins_for_its_own(written: Callable[[str], str]) -> None:
    """What holds for all goes to all; a server's own token stands instead, its own headers stand beside them."""
    config = written(
        'token_env = "ALL"\nheaders = ["X-Site=SITE"]\nca_cert = "all.pem"\n'
        '[[target]]\nurl = "https://a:8000"\ntoken_env = "A_TOKEN"\nca_cert = "a.pem"\n'
        '[[target]]\nurl = "https://b:8000"\nheaders = ["x-site=B_SITE", "X-Team=TEAM"]\n'
    )
    environ = {"ALL": "all", "SITE": "north", "A_TOKEN": "a", "B_SITE": "south", "TEAM": "red"}
    settings = load({"config": config}, environ)
    assert access(settings, "https://a:8000", environ) == (
        {"Authorization": "Bearer a", "X-Site": "north"},
        "a.pem",
    )
    assert access(settings, "https://b:8000", environ) == (
        {"Authorization": "Bearer all", "X-Site": "south", "X-Team": "red"},
        "all.pem",
    )
    assert access(settings, "https://c:8000", environ) == (
        {"Authorization": "Bearer all", "X-Site": "north"},
        "all.pem",
    )


def test_targets_that_are_named_are_the_ones_that_are_watched(written: Callable[[str], str]) -> None:
    """TARGETs of the command line or the environment stand instead of the file's, and each keeps its own table."""
    config = written('targets = ["http://a:1"]\n[[target]]\nurl = "http://b:2/metrics"\ntoken_env = "B"\n')
    assert load({"config": config}, {}).targets == ("http://a:1", "http://b:2/metrics")
    named = load({"config": config, "targets": ["http://b:2"]}, {"B": "key"})
    assert named.targets == ("http://b:2",)
    assert access(named, "http://b:2", {"B": "key"})[0] == {"Authorization": "Bearer key"}
    assert load({"config": config}, {"CHIMERA_TOP_TARGETS": "http://c:3"}).targets == ("http://c:3",)


def test_a_redirect_does_not_carry_a_token_away(
    two: tuple[Model, Model], web: Web, written: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that points at another one is not followed there."""
    first, _ = two
    monkeypatch.setenv("WEB_TOKEN", "sesame-one")
    config = written(f'[[target]]\nurl = "{web.url}"\ntoken_env = "WEB_TOKEN"\n')
    web.answer("/metrics", b"", 302, Location=f"{first.url}/metrics")
    assert poll(servers(load({"config": config}, {}), Clock())) == [State.DOWN]
    assert {headers.get("authorization") for _, headers in web.requests} == {"Bearer sesame-one"}
    assert not first.requests


def test_an_authority_is_trusted_for_its_own_server(written: Callable[[str], str]) -> None:
    """One server's private authority is none for the server beside it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE)
    webs = Web(), Web()
    for each in webs:
        each.start(context)
        each.answer("/metrics", b"# TYPE llamacpp:requests_processing gauge\nllamacpp:requests_processing 1\n")
    first, second = (f"https://{each.place}" for each in webs)
    config = written(f'targets = ["{second}"]\n[[target]]\nurl = "{first}"\nca_cert = "{CERTIFICATE}"\n')
    assert poll(servers(load({"config": config}, {}), Clock())) == [State.DOWN, State.OK]
    for each in webs:
        each.stop()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[target]\nurl = "http://a:1"', "write [[target]], with two brackets"),
        ('[[target]]\ntoken_env = "A"', "[[target]] 1: Object missing required field `url`"),
        ('[[target]]\nurl = "http://a:1"\ntoken = "s3cret"', "unknown field `token`; known keys are url, token_env"),
        ('[[target]]\nurl = "http://a:1"\ntoken_env = 7', "Expected `str | null`, got `int` - at `$.token_env`"),
        ('[[target]]\nurl = "ftp://a:1"', "[[target]] 1: unusable URL 'ftp://a:1'"),
        ('[[target]]\nurl = "http://me:s3cret@a:1"', "no password in the URL of http://a:1: name the variable"),
        ('[[target]]\nurl = "http://a:1"\n[[target]]\nurl = "http://a:1/metrics"', "[[target]] 2: http://a:1 has a"),
        ('[[target]]\nurl = "http://a:1"\ntoken_env = "NOT_SET"', "[[target]] http://a:1: token_env names the envir"),
        ('[[target]]\nurl = "http://a:1"\ntoken_env = "sk-s3cret"', "token_env names an environment variable, which"),
        ('[[target]]\nurl = "http://a:1"\nheaders = ["X=hf_s3cret"]', "headers names an environment variable, which"),
        ('[[target]]\nurl = "http://a:1"\nheaders = ["X-Key"]', "headers wants HEADER=NAME"),
        (
            '[[target]]\nurl = "http://a:1"\nca_cert = "/no/such.pem"',
            "[[target]] http://a:1: ca_cert: unusable CA file",
        ),
    ],
)
def test_what_is_wrong_is_one_line_that_names_file_and_server(
    text: str, said: str, written: Callable[[str], str], capsys: pytest.CaptureFixture[str]
) -> None:
    """Before anything is watched; what may be a secret in the wrong place is not repeated."""
    config = written(text + "\n")
    assert run(["report", "--config", config]) == 64
    line = capsys.readouterr().err
    assert line.startswith(f"chimera-top: {config}")
    assert line.count("\n") == 1
    assert said in line
    assert "s3cret" not in line


def test_what_nobody_watches_is_not_asked_for(written: Callable[[str], str]) -> None:
    """A token of a server that is not watched now need not be there, nor any for a demo."""
    config = written('[[target]]\nurl = "http://a:1"\ntoken_env = "NOT_SET"\n')
    assert load({"config": config, "targets": ["http://b:2"]}, {}).targets == ("http://b:2",)
    assert load({"config": config}, {}).target[0].url == "http://a:1"
    with pytest.raises(UsageError, match=r"^token_env of \[\[target\]\] http://a:1 names"):
        access(load({"config": config}, {}), "http://a:1", {})


def test_the_environment_has_no_table() -> None:
    """CHIMERA_TOP_TARGET is a typo of CHIMERA_TOP_TARGETS, and is said to be unknown."""
    with pytest.raises(UsageError, match="unknown environment variable CHIMERA_TOP_TARGET: known are"):
        load({}, {"CHIMERA_TOP_TARGET": "http://a:1"})


def test_without_a_table_nothing_is_sent() -> None:
    """Nothing is the default."""
    assert access(Settings(), "http://a:1", {}) == ({}, None)
