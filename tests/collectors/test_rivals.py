"""`collectors.rivals`: several servers on one port, told from the processes of one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from collectors.listening import listening
from collectors.rivals import rivals

if TYPE_CHECKING:
    from tests.collectors.conftest import Proc

ANY = "0.0.0.0"  # noqa: S104 - nothing is bound here: this is what another process bound
VLLM = ("vllm", "serve", "m")


def test_two_servers_on_one_port_are_named(proc: Proc) -> None:
    """After a restart the old server may still hold the port beside the new one: both are named."""
    proc.process(10, "bash", "bash")
    for pid in (42, 52):
        proc.process(pid, "vllm", *VLLM, sockets=[pid], parent=10)
        proc.listen("", ANY, 8000, inode=pid)
    (found,) = rivals(listening(proc.root), proc.root)
    assert found.what == "which server answers on port 8000"
    assert found.why == "2 servers listen on it: PID 42, PID 52"


def test_the_processes_of_one_server_are_no_rivals(proc: Proc) -> None:
    """Workers with a socket of their own on the port of their parent, or with its socket, are one server."""
    proc.process(42, "vllm", *VLLM, sockets=[42], parent=1)
    proc.process(43, "vllm", *VLLM, sockets=[43, 42], parent=42)
    proc.process(44, "vllm", *VLLM, sockets=[44], parent=43)
    for inode in (42, 43, 44):
        proc.listen("", ANY, 8000, inode)
    assert rivals(listening(proc.root), proc.root) == []


def test_other_programs_and_other_addresses_are_no_rivals(proc: Proc) -> None:
    """A proxy that shares a port with itself, and a server on another address, say nothing."""
    for pid, name in ((42, "nginx"), (52, "nginx"), (62, "vllm")):
        proc.process(pid, name, name, sockets=[pid])
    proc.listen("", ANY, 8000, inode=42)
    proc.listen("", ANY, 8000, inode=52)
    proc.listen("", "10.0.0.1", 8000, inode=62)
    assert rivals(listening(proc.root), proc.root) == []
