"""`collectors.listening` and `collectors.discovery`: what listens here, what of it is worth a request, what it is."""

from __future__ import annotations

import asyncio
import os
import socket
from ipaddress import IPv4Address
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.answer import Answer
from collectors.clock import Clock
from collectors.discovery import (
    MOST,
    Found,
    candidates,
    declared,
    discover,
    engine_of,
    judged,
    likelihood,
    merged,
    url_of,
)
from collectors.listening import Listener, listening, read_table
from simulator.http import serve_in_thread
from simulator.scenario import load

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from simulator.http import ServerThread
    from tests.collectors.conftest import Web

TCP = """\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1F40 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 11111 1 0000000000000000 100
   1: 00000000:0016 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 22222 1 0000000000000000 100
   2: 0100007F:C350 0100007F:1F40 01 00000000:00000000 00:00000000 00000000  1000        0 33333 1 0000000000000000 20
   3: nonsense
"""
TCP6 = """\
  sl  local_address                         remote_address                        st tx_queue rx_queue tr tm->when
   0: 00000000000000000000000001000000:7530 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000
   1: 00000000000000000000000000000000:1F90 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000
"""
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
    return Listener(draw(addresses), draw(ports), pid, cmdline[0] if cmdline else "", cmdline)


@pytest.fixture
def two() -> Iterator[list[ServerThread]]:
    """Two simulated servers."""
    servers = [serve_in_thread(load("healthy"), seed=seed, clock=Clock()) for seed in (1, 2)]
    yield servers
    for each in servers:
        each.close()


def port_of(url: str) -> int:
    return int(url.rpartition(":")[2])


# --- what listens


def test_the_kernels_table_is_read_as_it_stands() -> None:
    """Rows that listen become address and port; connections and rows that are none are left out."""
    assert read_table(TCP, "little") == [Listener("127.0.0.1", 8000), Listener(ANY, 22)]
    assert read_table(TCP6, "little") == [Listener("::1", 30000), Listener("::", 8080)]
    assert read_table(TCP.replace("0100007F", "7F000001"), "big")[0] == Listener("127.0.0.1", 8000)


@given(st.integers(0, 2**32 - 1), st.integers(1, 65535))
def test_any_address_comes_back_from_the_table(number: int, port: int) -> None:
    """What the kernel writes of an IPv4 address is read back as that address."""
    written = number.to_bytes(4, "big")[::-1].hex().upper()
    row = f"   0: {written}:{port:04X} 00000000:0000 0A 0:0"
    assert read_table(f"header\n{row}\n", "little") == [Listener(str(IPv4Address(number)), port)]


@given(st.text())
def test_no_table_makes_the_reader_fail(text: str) -> None:
    """Whatever stands there, nothing is raised."""
    assert all(0 < each.port < 65536 for each in read_table(text))


def test_a_socket_of_this_process_is_seen_with_its_owner() -> None:
    """A socket that listens here is listed with the id and the arguments of its process."""
    with socket.create_server(("127.0.0.1", 0)) as here:
        found = {each.port: each for each in listening()}[here.getsockname()[1]]
    assert (found.address, found.pid) == ("127.0.0.1", os.getpid())
    assert found.cmdline


def test_without_psutils_view_the_table_serves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where connections may not be listed, ports are read from /proc without owners."""
    import psutil  # noqa: PLC0415 only here

    def forbidden(_kind: str) -> None:
        raise psutil.AccessDenied

    (tmp_path / "net").mkdir()
    (tmp_path / "net" / "tcp").write_text(TCP)
    monkeypatch.setattr(psutil, "net_connections", forbidden)
    assert {each.port for each in listening(tmp_path)} == {8000, 22}


# --- which program it is


@pytest.mark.parametrize(
    ("cmdline", "engine"),
    [
        (VLLM, "vllm"),
        (("python3", "-u", "-m", "vllm.entrypoints.openai.api_server", "--model", "x"), "vllm"),
        (("VLLM::APIServer_0",), "vllm"),
        (("python", "-m", "sglang.launch_server", "--model-path", "m"), "sglang"),
        (("sglang::scheduler_TP0",), "sglang"),
        (("python", "-m", "sglang_router.launch_router"), "sglang-router"),
        (("/usr/local/bin/llama-server", "-m", "x.gguf"), "llamacpp"),
        (("text-generation-router", "--port", "80"), "tgi"),
        (("/usr/bin/python3", "/usr/local/bin/trtllm-serve", "m"), "trtllm"),
        (("tritonserver", "--model-repository=/m"), "triton"),
        (("/usr/bin/ollama", "serve"), "ollama"),
        (("/usr/bin/ollama", "runner", "--port", "41000"), None),
        (("python", "/usr/bin/lmdeploy", "serve"), "lmdeploy"),
        (("python", "-m", "dynamo.frontend"), "dynamo"),
        (("ray::ServeReplica",), "ray"),
        (("python", "-m", "http.server", "--directory", "/srv/vllm"), None),
        (("tail", "-f", "/var/log/vllm"), None),
        (("python", "-c", "vllm"), None),
        (("raytracer",), None),
        ((), None),
    ],
)
def test_a_process_is_known_by_its_program_and_by_nothing_else(cmdline: tuple[str, ...], engine: str | None) -> None:
    """The executable, module or script tells the server; a path among the arguments does not."""
    assert engine_of(Listener("127.0.0.1", 1234, 1, "", cmdline)) == engine


@pytest.mark.parametrize(
    ("cmdline", "port", "expected"),
    [
        (VLLM, 9001, True),
        (VLLM, 8000, False),
        (("vllm", "serve", "m"), 8000, True),
        (("vllm", "serve", "m"), 43211, False),
        (("llama-server", "--port=8081"), 8081, True),
        (("tritonserver",), 8000, False),
        (("tritonserver", "--metrics-port", "9002"), 9002, True),
        (("python", "-m", "http.server"), 8000, False),
        (("vllm", "serve", "--port"), 8000, False),
    ],
)
def test_the_port_that_serves_is_told_from_those_of_workers(
    cmdline: tuple[str, ...], port: int, *, expected: bool
) -> None:
    """The command line names the port, else it is the usual one; any other belongs to workers."""
    assert declared(Listener("127.0.0.1", port, 1, "", cmdline)) is expected


# --- what is worth a request


@given(st.lists(listeners(), max_size=40), st.none() | st.integers(1, 6))
def test_candidates_are_ranked_and_few(found: list[Listener], own: int | None) -> None:
    """They come from the list, each URL once, the likelier first, nothing foreign and nothing of this program."""
    asked = candidates(found, own)
    ranks = [likelihood(each) for each in asked]
    assert set(asked) <= set(found)
    assert ranks == sorted(rank for rank in ranks if rank is not None)
    assert len({url_of(each).partition("//")[2] for each in asked}) == len(asked)
    assert all(each.pid != own for each in asked if own is not None)
    assert not any(each.port in {22, 5432} and engine_of(each) is None for each in asked)
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
    assert {each.port for each in once} == {each.port for each in found}


def test_one_server_on_two_addresses_is_one() -> None:
    """IPv4 and IPv6 of one process, and the two proxies by which Docker publishes one port, are one server."""
    both = [Listener("::", 8000, 7, "vllm", VLLM), Listener(ANY, 8000, 7, "vllm", VLLM)]
    assert [url_of(each) for each in merged(both)] == ["http://127.0.0.1:8000"]
    docker = [Listener(ANY, 8000, 8, "docker-proxy"), Listener("::", 8000, 9, "docker-proxy")]
    assert [url_of(each) for each in merged(docker)] == ["http://127.0.0.1:8000"]
    apart = [Listener("10.0.0.1", 8000, 8, "a"), Listener("10.0.0.2", 8000, 9, "a")]
    assert merged(apart) == apart


def test_a_server_is_reached_where_and_how_it_listens() -> None:
    """An address of its own is used as it stands, and TLS where the command line names a key."""
    assert url_of(Listener("10.0.0.5", 8000)) == "http://10.0.0.5:8000"
    assert url_of(Listener("fd00::1", 8000)) == "http://[fd00::1]:8000"
    assert url_of(Listener("::", 8000, 1, "vllm", (*VLLM, "--ssl-keyfile=k.pem"))) == "https://[::1]:8000"


# --- what it is


@pytest.mark.parametrize(
    ("listener", "answer", "expected"),
    [
        (Listener("127.0.0.1", 9001, 1, "vllm", VLLM), None, "its process and its port; no answer of use"),
        (Listener("127.0.0.1", 43211, 1, "vllm", VLLM), None, None),
        (Listener("127.0.0.1", 9001, 1, "vllm", VLLM), Answer(401, "", b""), "present, unauthorised"),
        (Listener("127.0.0.1", 4000), Answer(401, "", b""), "present, unauthorised"),
        (Listener("127.0.0.1", 41234), Answer(401, "", b""), None),
        (Listener("127.0.0.1", 8000, 1, "jupyter", ("jupyter",)), Answer(403, "", b""), None),
        (
            Listener("127.0.0.1", 8080, 1, "llama-server", ("llama-server",)),
            Answer(501, "", b""),
            "its process and its port; 501 from its metrics page",
        ),
        (Listener("127.0.0.1", 8000), Answer(404, "", b""), None),
        (Listener("127.0.0.1", 8000), Answer(200, "", b"[]"), None),
        (Listener("127.0.0.1", 8000), Answer(200, "", b"node_load1 0.5\n"), None),
        (Listener("127.0.0.1", 8000), Answer(200, "", b"llamacpp:requests_processing 1\n"), "its metrics page"),
        (Listener("127.0.0.1", 41234, 1, "", ("trtllm-serve",)), Answer(200, "", b"[]"), "the steps that it tells"),
    ],
)
def test_an_answer_is_judged_with_what_is_known_of_the_process(
    listener: Listener, answer: Answer | None, expected: str | None
) -> None:
    """A page tells by itself; anything else only where process and port say that an inference server is there."""
    found = judged(listener, answer)
    assert (found.why if found else None) == expected


def test_the_servers_of_this_host_are_found_and_nothing_else(two: list[ServerThread], web: Web) -> None:
    """Two servers and a web server listen; discovery names the two, asked for their metrics page alone and once."""
    web.answer("/metrics", b"node_load1 0.5\n")
    wanted = {port_of(each.url) for each in two}
    here = [each for each in listening() if each.port in wanted | {web.port}]
    assert len(here) == 3
    found = asyncio.run(discover(here))
    assert {each.url for each in found} == {each.url for each in two}
    assert {(each.engine, each.pid, each.why) for each in found} == {("vllm", os.getpid(), "its metrics page")}
    assert web.paths == ["/metrics"]
    assert "authorization" not in web.requests[0][1]
    assert asyncio.run(discover(here, os.getpid())) == []


def test_json_that_is_drained_by_reading_is_asked_for_once(web: Web) -> None:
    """A TensorRT-LLM that answers with the steps it then forgets is recognised by the one GET."""
    web.answer("/metrics", b'[{"iter": 7, "numActiveRequests": 2, "gpuMemUsage": 1}]', content_type="application/json")
    found = asyncio.run(discover([Listener("127.0.0.1", web.port)]))
    assert found == [Found(web.url, "trtllm", None, "the steps that it tells")]
    assert web.paths == ["/metrics"]


def test_of_many_only_the_likeliest_are_asked() -> None:
    """A host with hundreds of listeners sees few requests, and the one that is surely a server is among the asked."""
    many = [Listener("127.0.0.1", port) for port in range(40_000, 40_300)]
    server = Listener("127.0.0.1", 9001, 1, "vllm", VLLM)
    asked = candidates([*many, server])
    assert len(asked) == MOST
    assert asked[0] == server


def test_a_server_that_hangs_is_found_and_holds_nobody_up(two: list[ServerThread]) -> None:
    """One that takes connections and never answers is present by its process and port; the others are found beside."""
    with socket.create_server(("127.0.0.1", 0)) as hung:
        port = hung.getsockname()[1]
        listener = Listener("127.0.0.1", port, 1, "vllm", ("vllm", "serve", "m", "--port", str(port)))
        others = [Listener("127.0.0.1", port_of(each.url)) for each in two]
        found = asyncio.run(discover([listener, *others]))
    assert found[0] == Found(f"http://127.0.0.1:{port}", "vllm", 1, "its process and its port; no answer of use")
    assert {each.url for each in found[1:]} == {each.url for each in two}
