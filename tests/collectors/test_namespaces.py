"""`collectors.namespaces`: what listens in containers, on a /proc that says what a kernel says."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.discovery import candidates, url_of
from collectors.listening import Listener
from collectors.namespaces import Survey, leads_to, local_addresses, routed, survey

if TYPE_CHECKING:
    from tests.collectors.conftest import Proc

ANY = "0.0.0.0"  # noqa: S104 - nothing is bound here: this is what another process bound
VLLM = ("python3", "-m", "vllm.entrypoints.openai.api_server")
PROXY = ("/usr/bin/docker-proxy", "-proto", "tcp", "-container-ip", "172.17.0.2", "-container-port", "8000")
DOCKER0 = "000011AC 0000FFFF"
FIB_TRIE = """\
Main:
  +-- 0.0.0.0/1 2 0 2
     +-- 172.17.0.0/16 2 0 2
        |-- 172.17.0.0
           /16 link UNICAST
        |-- 172.17.0.2
           /32 host LOCAL
        |-- 172.17.255.255
           /32 link BROADCAST
     +-- 127.0.0.0/8 2 0 2
        |-- 127.0.0.1
           /32 host LOCAL
Local:
        |-- 172.17.0.2
           /32 host LOCAL
"""


@pytest.fixture
def docker(proc: Proc) -> Proc:
    """A host with one container, in which a vLLM listens for everybody, and one of its workers for itself."""
    proc.process(42, "python3", *VLLM, space="one", sockets=[100])
    proc.process(43, "VLLM::Worker", "VLLM::Worker_TP0", space="one", sockets=[101])
    proc.listen("one", ANY, 8000, inode=100)
    proc.listen("one", "127.0.0.1", 40001, inode=101)
    proc.address(42, "172.17.0.2")
    proc.route(DOCKER0)
    return proc


def test_a_server_in_a_container_is_found_by_the_containers_address(docker: Proc) -> None:
    """What listens in another network namespace is listed with its process and where this host reaches it."""
    found = survey(docker.root)
    assert found.listeners == (Listener("172.17.0.2", 8000, 42, "python3", VLLM, 100),)
    assert found.missing == ()
    assert [url_of(each) for each in candidates(found.listeners)] == ["http://172.17.0.2:8000"]


def test_a_published_port_is_the_containers_and_counts_once(docker: Proc) -> None:
    """What docker-proxy publishes is the server in the container, reached as the user published it; others stay."""
    docker.process(9, "docker-proxy", *PROXY, "-host-port", "9000", sockets=[200])
    docker.process(10, "docker-proxy", *PROXY, "-host-port", "9000", sockets=[201])
    docker.process(11, "docker-proxy", *PROXY[:-1], "80", sockets=[202])
    docker.listen("", ANY, 9000, inode=200)
    docker.listen("", "::", 9000, inode=201)
    docker.listen("", ANY, 8080, inode=202)
    found = survey(docker.root).listeners
    assert [(each.port, each.pid, each.published) for each in found] == [(8080, 11, None), (8000, 42, (ANY, 9000))]
    assert sorted(url_of(each) for each in candidates(found)) == ["http://127.0.0.1:8080", "http://127.0.0.1:9000"]


def test_a_server_for_its_container_alone_is_named(docker: Proc) -> None:
    """One that listens on the container's loopback cannot be reached: it is named, and its workers' ports are not."""
    docker.process(44, "llama-server", "llama-server", "--port", "8001", space="one", sockets=[102])
    docker.listen("one", "127.0.0.1", 8001, inode=102)
    found = survey(docker.root)
    assert [each.port for each in found.listeners] == [8000]
    assert [each.what for each in found.missing] == ["llamacpp in a container (port 8001, PID 44)"]
    assert "--host 0.0.0.0" in found.missing[0].why


def test_an_address_without_a_way_to_it_is_not_asked(docker: Proc) -> None:
    """An address that only the default route would carry is somebody else's on the net outside: it is named."""
    docker.route("00000000 00000000", "000A0A0A 00FFFFFF")
    found = survey(docker.root)
    assert found.listeners == ()
    assert "no route to 172.17.0.2" in found.missing[0].why
    docker.process(9, "docker-proxy", *PROXY, sockets=[200])
    docker.listen("", "127.0.0.1", 9000, inode=200)
    assert [url_of(each) for each in survey(docker.root).listeners] == ["http://127.0.0.1:9000"]


def test_what_may_not_be_looked_at_is_counted_and_named(docker: Proc) -> None:
    """Where the namespaces of others may not be read, the containers with a server in them are counted."""
    docker.process(52, "python3", *VLLM, space="two")
    docker.process(60, "python3", *VLLM)  # another user's, but of this host: its port is in the table
    for pid in (42, 43, 52, 60):
        (docker.root / str(pid) / "ns" / "net").unlink()
    found = survey(docker.root)
    assert found.listeners == ()
    assert [each.what for each in found.missing] == ["inference servers in 2 containers"]
    assert "as root" in found.missing[0].why


def test_containers_without_a_server_are_left_alone(proc: Proc) -> None:
    """A database in a container is nobody's business here."""
    proc.process(42, "postgres", "postgres", space="one", sockets=[100])
    proc.listen("one", ANY, 5432, inode=100)
    assert survey(proc.root) == Survey((), ())


def test_of_this_host_the_survey_lists_what_listens() -> None:
    """On a real /proc a socket that listens in this network namespace is in the survey."""
    with socket.create_server(("127.0.0.1", 0)) as here:
        found = survey()
        assert here.getsockname()[1] in {each.port for each in found.listeners}
    assert not found.blind


def test_the_addresses_of_a_namespace_are_read_as_the_kernel_writes_them() -> None:
    """Addresses of its own, each once, but loopback's; networks and broadcasts are none."""
    assert local_addresses(FIB_TRIE) == ["172.17.0.2"]
    assert local_addresses("") == []


@pytest.mark.parametrize(
    ("listener", "expected"),
    [
        (Listener(ANY, 9000, 9, "docker-proxy", PROXY), ("172.17.0.2", 8000)),
        (
            Listener(ANY, 9000, 9, "rootlesskit-doc", ("/opt/rootlesskit-docker-proxy", *PROXY[1:])),
            ("172.17.0.2", 8000),
        ),
        (Listener(ANY, 9000, 9, "docker-proxy", PROXY[:-2]), None),
        (Listener(ANY, 9000, 9, "docker-proxy", (*PROXY[:-1], "eighty")), None),
        (Listener(ANY, 9000, 9, "bash", ("bash", "docker-proxy", *PROXY[1:])), None),
    ],
)
def test_the_way_of_a_docker_proxy_stands_on_its_command_line(
    listener: Listener, expected: tuple[str, int] | None
) -> None:
    """Address and port of the container are its flags; another program, or one without them, leads nowhere."""
    assert leads_to(listener) == expected


@given(st.text(), st.lists(st.text(), max_size=3))
def test_no_table_makes_the_readers_fail(text: str, addresses: list[str]) -> None:
    """Whatever stands there, nothing is raised."""
    local_addresses(text)
    assert set(routed(addresses, text)) <= set(addresses)
