"""`collectors.listening`: which ports are listened on, and by which process."""

from __future__ import annotations

import os
import socket
from ipaddress import IPv4Address
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from collectors.listening import Listener, listening, program, read_table

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from tests.collectors.conftest import Proc

ANY = "0.0.0.0"  # noqa: S104 - nothing is bound here: this is what another process bound
TCP = """\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1F40 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 11111 1 0000000000000000 100
   1: 00000000:0016 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 22222 1 0000000000000000 100
   2: 0100007F:C350 0100007F:1F40 01 00000000:00000000 00:00000000 00000000  1000        0 33333 1 0000000000000000 20
   3: nonsense 0A
"""
TCP6 = """\
  sl  local_address                         remote_address                        st tx_queue rx_queue tr tm->when
   0: 00000000000000000000000001000000:7530 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000
   1: 00000000000000000000000000000000:1F90 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000
"""


def test_the_kernels_table_is_read_as_it_stands() -> None:
    """Rows that listen become address, port and socket; connections and rows that are none are left out."""
    assert read_table(TCP, "little") == [Listener("127.0.0.1", 8000, inode=11111), Listener(ANY, 22, inode=22222)]
    assert read_table(TCP6, "little") == [Listener("::1", 30000), Listener("::", 8080)]
    assert read_table(TCP.replace("0100007F", "7F000001"), "big")[0] == Listener("127.0.0.1", 8000, inode=11111)


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
    """A socket that listens here is listed with its number and the id and the arguments of its process."""
    with socket.create_server(("127.0.0.1", 0)) as here:
        found = {each.port: each for each in listening()}[here.getsockname()[1]]
        inode = os.fstat(here.fileno()).st_ino
    assert (found.address, found.pid, found.inode) == ("127.0.0.1", os.getpid(), inode)
    assert found.cmdline
    assert (found.name, found.cmdline) == program_of_this()


def program_of_this() -> tuple[str, tuple[str, ...]]:
    import psutil  # noqa: PLC0415 only here

    this = psutil.Process()
    return this.name(), tuple(this.cmdline())


def test_each_process_that_holds_a_socket_is_told(proc: Proc) -> None:
    """A socket that systemd holds for a server is listed with both; one whose owner may not be seen, without."""
    proc.listen("", "127.0.0.1", 8000, inode=7)
    proc.listen("", ANY, 22, inode=8)
    proc.process(1, "systemd", "/sbin/init", sockets=[7])
    proc.process(42, "python", "python", "-m", "vllm.entrypoints.openai.api_server", sockets=[7])
    assert [(each.port, each.pid, each.name) for each in listening(proc.root)] == [
        (22, None, ""),
        (8000, 1, "systemd"),
        (8000, 42, "python"),
    ]


def test_a_process_that_names_itself_anew_is_read_as_it_stands(proc: Proc) -> None:
    """What setproctitle leaves behind its title is no argument, and one that has ended has none."""
    proc.process(42, "VLLM::EngineCor", "VLLM::EngineCore", "", "", "  ")
    assert program(proc.root, 42) == ("VLLM::EngineCor", ("VLLM::EngineCore",))
    assert program(proc.root, 43) == ("", ())


def test_without_proc_another_view_serves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there is no table of the kernel, psutil lists what listens; where it may not, nothing is listed."""
    import psutil  # noqa: PLC0415 only here

    with socket.create_server(("127.0.0.1", 0)) as here:
        port = here.getsockname()[1]
        found = {each.port: each for each in listening(tmp_path)}[port]
    assert (found.address, found.pid) == ("127.0.0.1", os.getpid())

    def forbidden(_kind: str) -> None:
        raise psutil.AccessDenied

    monkeypatch.setattr(psutil, "net_connections", forbidden)
    assert listening(tmp_path) == []
