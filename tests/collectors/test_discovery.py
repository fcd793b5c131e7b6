"""`collectors.discovery`: what of all that listens is worth a request, and finding the servers among it."""

from __future__ import annotations

import asyncio
import os
import socket
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.clock import Clock
from collectors.discovery import candidates, discover, merged, url_of
from collectors.fingerprint import Found
from collectors.listening import Listener, listening
from collectors.programs import engine_of, likelihood
from simulator.http import serve_in_thread
from simulator.scenario import load

if TYPE_CHECKING:
    from collections.abc import Iterator

    from simulator.http import ServerThread
    from tests.collectors.conftest import Web

VLLM = ("/opt/venv/bin/python3", "/opt/venv/bin/vllm", "serve", "some/model", "--port", "9001")

programs = st.sampled_from(
    [
        (),
        VLLM,
        ("python3", "-m", "sglang.launch_server", "--model", "vllm"),
        ("/usr/bin/llama-server", "--port=8081"),
        ("ollama", "serve"),
        ("/usr/sbin/sshd", "-D"),
        ("node", "server.js"),
        ("python", "-m", "http.server"),
    ]
)
ANY = "0.0.0.0"  # noqa: S104 - nothing is bound here: this is what another process bound
addresses = st.sampled_from([ANY, "127.0.0.1", "::", "::1", "::ffff:127.0.0.1", "10.0.0.5", "fe80::1%eth0"])
ports = st.sampled_from([22, 3000, 5432, 8000, 8080, 8081, 9001, 11434, 30000, 41234])


@st.composite
def listeners(draw: st.DrawFn) -> Listener:
    cmdline = draw(programs)
    pid = draw(st.integers(1, 6)) if cmdline else None
    published = draw(st.none() | st.tuples(addresses, ports))
    return Listener(draw(addresses), draw(ports), pid, cmdline[0] if cmdline else "", cmdline, 0, published)


@pytest.fixture
def two() -> Iterator[list[ServerThread]]:
    """Two simulated servers."""
    servers = [serve_in_thread(load("healthy"), seed=seed, clock=Clock()) for seed in (1, 2)]
    yield servers
    for each in servers:
        each.close()


def port_of(url: str) -> int:
    return int(url.rpartition(":")[2])


@given(st.lists(listeners(), max_size=40), st.none() | st.integers(1, 6))
def test_candidates_are_ranked_and_few(found: list[Listener], own: int | None) -> None:
    """They come from the list, each URL once, the likelier first, nothing foreign and nothing of this program."""
    asked = candidates(found, own)
    ranks = [likelihood(each) for each in asked]
    assert set(asked) <= set(found)
    assert ranks == sorted(rank for rank in ranks if rank is not None)
    assert len({url_of(each).partition("//")[2] for each in asked}) == len(asked)
    assert all(each.pid != own for each in asked if own is not None)
    assert not any(each.port in {22, 5432} and engine_of(each.name, each.cmdline) is None for each in asked)
    assert all("sshd" not in each.name or each.port in {3000, 8000, 8080, 11434, 30000} for each in asked)


@given(st.lists(listeners(), max_size=40), st.randoms(use_true_random=False))
def test_merging_depends_on_no_order_and_merges_nothing_twice(found: list[Listener], random: object) -> None:
    """Another order of the same listeners gives the same places, and what is merged stays as it is."""
    once = merged(found)
    shuffled = list(found)
    random.shuffle(shuffled)  # type: ignore[attr-defined] # hypothesis hands out a random.Random
    assert [url_of(each).partition("//")[2] for each in merged(shuffled)] == [
        url_of(each).partition("//")[2] for each in once
    ]
    assert merged(once) == once
    assert {port_of(url_of(each)) for each in once} == {port_of(url_of(each)) for each in found}


def test_one_server_on_two_addresses_is_one() -> None:
    """IPv4 and IPv6 of one process, and the two proxies by which Docker publishes one port, are one server."""
    both = [Listener("::", 8000, 7, "vllm", VLLM), Listener(ANY, 8000, 7, "vllm", VLLM)]
    assert [url_of(each) for each in merged(both)] == ["http://127.0.0.1:8000"]
    docker = [Listener(ANY, 8000, 8, "docker-proxy"), Listener("::", 8000, 9, "docker-proxy")]
    assert [url_of(each) for each in merged(docker)] == ["http://127.0.0.1:8000"]
    apart = [Listener("10.0.0.1", 8000, 8, "a"), Listener("10.0.0.2", 8000, 9, "a")]
    assert merged(apart) == apart


def test_a_server_is_known_though_another_holds_its_socket() -> None:
    """Of systemd and the server for which it holds the socket, the server is taken."""
    held = [Listener(ANY, 11434, 1, "systemd", ("/sbin/init",)), Listener(ANY, 11434, 9, "ollama", ("ollama", "serve"))]
    assert merged(held) == held[1:]


def test_a_server_is_reached_where_and_how_it_listens() -> None:
    """An address of its own is used as it stands, a published port before that, and TLS where a key is named."""
    assert url_of(Listener("10.0.0.5", 8000)) == "http://10.0.0.5:8000"
    assert url_of(Listener("fd00::1", 8000)) == "http://[fd00::1]:8000"
    assert url_of(Listener("172.17.0.2", 8000, published=(ANY, 9000))) == "http://127.0.0.1:9000"
    assert url_of(Listener("::", 8000, 1, "vllm", (*VLLM, "--ssl-keyfile=k.pem"))) == "https://[::1]:8000"


def test_containers_of_one_address_are_told_apart_by_what_is_published() -> None:
    """Two containers may have the same address and port in there: what this host publishes tells them apart."""
    two = [Listener("10.0.2.100", 8000, pid, "vllm", VLLM, pid, (ANY, 9000 + pid)) for pid in (1, 2)]
    assert [url_of(each) for each in merged(two)] == ["http://127.0.0.1:9001", "http://127.0.0.1:9002"]


def test_the_servers_of_this_host_are_found_and_nothing_else(two: list[ServerThread], web: Web) -> None:
    """Two servers and a web server listen; discovery names the two, and what has metrics of another kind is asked once.

    Nothing of the user's goes out.
    """
    web.answer("/metrics", b"node_load1 0.5\n")
    wanted = {port_of(each.url) for each in two}
    here = candidates(each for each in listening() if each.port in wanted | {web.port})
    assert len(here) == 3
    answers = asyncio.run(discover(here, 20.0))
    found = [each for each, _ in answers if each is not None]
    assert {each.url for each in found} == {each.url for each in two}
    assert {(each.engine, each.pid, each.why) for each in found} == {("vllm", os.getpid(), "its metrics page")}
    assert all(answered for _, answered in answers)
    assert web.paths == ["/metrics"]
    assert "authorization" not in web.requests[0][1]
    assert candidates(here, os.getpid()) == []


def test_a_server_that_hangs_is_found_and_holds_nobody_up(two: list[ServerThread]) -> None:
    """One that takes connections and never answers is present by its process and port; the others are found beside."""
    with socket.create_server(("127.0.0.1", 0)) as hung:
        port = hung.getsockname()[1]
        listener = Listener("127.0.0.1", port, 1, "vllm", ("vllm", "serve", "m", "--port", str(port)))
        others = [Listener("127.0.0.1", port_of(each.url)) for each in two]
        (first, answered), *rest = asyncio.run(discover([listener, *others]))
    assert first == Found(f"http://127.0.0.1:{port}", "vllm", 1, "its process and its port; no answer of use")
    assert not answered
    assert {each.url for each, _ in rest if each is not None} == {each.url for each in two}
