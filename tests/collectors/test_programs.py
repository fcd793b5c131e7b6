"""`collectors.programs`: which server a process is, and whether a port is the one on which it serves."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.listening import Listener
from collectors.programs import declared, engine_of, flag_of, likelihood

VLLM = ("/opt/venv/bin/python3", "/opt/venv/bin/vllm", "serve", "some/model", "--port", "9001")


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
    assert engine_of("", cmdline) == engine


@given(st.text(), st.lists(st.text(), max_size=4))
def test_no_command_line_makes_it_fail(name: str, cmdline: list[str]) -> None:
    """Whatever a process calls itself, nothing is raised."""
    engine_of(name, cmdline)
    likelihood(Listener("127.0.0.1", 8000, 1, name, tuple(cmdline)))


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


def test_the_last_of_several_values_of_a_flag_counts() -> None:
    """A flag is read in both spellings; where it stands twice the last one wins, where it does not there is none."""
    assert flag_of(("x", "--port", "1", "--port=2"), "--port") == "2"
    assert flag_of(("x", "--ports=2"), "--port") is None


@pytest.mark.parametrize(
    ("listener", "rank"),
    [
        (Listener("127.0.0.1", 9001, 1, "", VLLM), 0),
        (Listener("127.0.0.1", 9002, 1, "", VLLM), 1),
        (Listener("127.0.0.1", 43211, 1, "VLLM::Worker", ("VLLM::Worker_TP1",)), None),
        (Listener("127.0.0.1", 43211, 1, "VLLM::EngineCor", ("VLLM::EngineCore",)), None),
        (Listener("127.0.0.1", 43211, 1, "sglang::schedul", ("sglang::scheduler_TP0",)), None),
        (Listener("127.0.0.1", 8000, 1, "ssh", ("ssh", "-L", "8000:gpu:8000", "gpu")), 2),
        (Listener("127.0.0.1", 9123, 1, "docker-proxy", ("/usr/bin/docker-proxy",)), 2),
        (Listener("127.0.0.1", 9123, 1, "python3", ("python3", "serve.py")), 3),
        (Listener("127.0.0.1", 9123), 3),
        (Listener("127.0.0.1", 9123, 1, "sshd", ("/usr/sbin/sshd",)), None),
        (Listener("127.0.0.1", 5432), None),
    ],
)
def test_what_is_worth_a_request_is_ranked(listener: Listener, rank: int | None) -> None:
    """A server on its port comes first; its workers, and what is plainly something else, are not asked at all."""
    assert likelihood(listener) == rank
