"""`collectors.server` against pages that real servers served, over real sockets."""

from __future__ import annotations

import asyncio
import gzip
import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from collectors.clock import Clock
from collectors.engines import DIALECTS
from collectors.engines.dialect import Reading
from collectors.exposition import MAX_BAD_LINES
from collectors.facts import restarted
from collectors.fetch import Fetch
from collectors.server import ServerCollector
from metrics.histogram import Histogram
from metrics.sample import Sample, Source, State
from tests.pages import text

if TYPE_CHECKING:
    from tests.collectors.conftest import Web

SERVED = Path(__file__).parent.parent / "fixtures" / "served"
VLLM = gzip.decompress((SERVED / "vllm.prom.gz").read_bytes())
VERSION = b'{"version":"0.32.0"}'
MODELS = json.dumps({"object": "list", "data": [{"id": "small-llama", "max_model_len": 2048}]}).encode()
LLAMACPP = b"""# HELP llamacpp:prompt_tokens_total Number of prompt tokens processed.
# TYPE llamacpp:prompt_tokens_total counter
llamacpp:prompt_tokens_total 36
llamacpp:prompt_tokens_cached_total 0
llamacpp:tokens_predicted_total 60
llamacpp:requests_processing 1
llamacpp:requests_deferred 0
"""


class Time:
    """Two clocks that are set by hand; each reading of the monotonic one lets `step` seconds pass."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.step = 0.0
        self.clock = Clock(wall=lambda: 1.8e9 + self.now, mono=self._mono)

    def _mono(self) -> float:
        now = self.now
        self.now += self.step
        return now


def poll(collector: ServerCollector, times: int = 1) -> list[Sample]:
    async def several() -> list[Sample]:
        samples: list[Sample] = []
        for _ in range(times):
            samples += await collector.collect()
        await collector.close()
        return samples

    return asyncio.run(several())


def serve_vllm(web: Web) -> None:
    web.answer("/metrics", VLLM, content_type="text/plain; version=1.0.0; charset=utf-8")
    web.answer("/version", VERSION, content_type="application/json")
    web.answer("/v1/models", MODELS, content_type="application/json")


def test_vllm(web: Web) -> None:
    """A page captured from vLLM 0.32 becomes one Sample in canonical words, with the facts of the other endpoints."""
    serve_vllm(web)
    [sample] = poll(ServerCollector(web.url, clock=Clock()))
    assert (sample.source, sample.kind, sample.state, sample.reason) == (web.url, Source.SERVER, State.OK, "")
    assert sample.facts["engine"] == "vllm"
    assert sample.facts["engine_version"] == "0.32.0"
    assert sample.facts["model"] == "small-llama"
    assert sample.gauges["requests_running"] == _value("vllm:num_requests_running{")
    assert sample.gauges["max_model_len"] == 2048
    assert sample.counters["output_tokens_total"] == _value("vllm:generation_tokens_total{")
    ttft = sample.histograms["ttft_seconds"]
    assert isinstance(ttft, Histogram)
    assert ttft.count == _value("vllm:time_to_first_token_seconds_count{")
    assert ttft.sum == _value("vllm:time_to_first_token_seconds_sum{")


def test_the_clock_of_the_server(web: Web) -> None:
    """How far it is ahead is taken from the middle of the second that it names; a server without `Date` tells none."""
    serve_vllm(web)
    [sample] = poll(ServerCollector(web.url, clock=Clock()))
    assert "clock_offset_seconds" not in sample.gauges
    web.answer("/metrics", VLLM, Date="Sun, 06 Nov 1994 08:49:37 GMT")
    [sample] = poll(ServerCollector(web.url, clock=Clock()))
    assert sample.gauges["clock_offset_seconds"] == pytest.approx(784_111_777.5 - sample.wall)


def _value(start: str) -> float:
    [line] = [line for line in VLLM.decode().splitlines() if line.startswith(start)]
    return float(line.rpartition(" ")[2])


def test_llamacpp_without_facts(web: Web) -> None:
    """A facts endpoint that wants a token, or fails, is told as missing and does not fail the poll."""
    web.answer("/metrics", LLAMACPP)
    web.answer("/props", b'{"error":{"message":"Invalid API Key"}}', 401)
    [sample] = poll(ServerCollector(web.url, clock=Clock()))
    assert sample.state is State.OK
    assert sample.counters["output_tokens_total"] == 60
    [missing] = [each for each in sample.missing if each.what == "facts from /props"]
    assert missing.why == '401 "Invalid API Key": it wants a token; give one with --token-env NAME'


def test_facts_that_hang(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    """A facts endpoint that never answers holds up the poll for its own short deadline only."""

    async def forever(_: asyncio.StreamWriter) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr("collectors.facts._DEADLINE", 0.05)
    web.answer("/metrics", LLAMACPP)
    web.reply("/props", forever)
    first, second = poll(ServerCollector(web.url, clock=Clock()), times=2)
    assert first.state is second.state is State.OK
    [missing] = [each for each in second.missing if each.what == "facts from /props"]
    assert missing.why.startswith("no answer from /props in 0.05 s")
    assert web.paths == ["/metrics", "/slots", "/props", "/metrics"]


def test_middle_of_the_poll(web: Web) -> None:
    """A Sample carries the middle of its poll on both clocks, and how long the poll took."""
    web.answer("/metrics", LLAMACPP)
    web.answer("/props", b"{}")
    time = Time()
    time.step = 0.5
    [sample] = poll(ServerCollector(web.url, clock=time.clock))
    assert (sample.mono, sample.duration) == (1000.25, 0.5)
    assert sample.wall == 1.8e9 + 1000.25


def test_the_first_poll_does_not_count_the_import(web: Web) -> None:
    """The clock is read when all is loaded: an import within the first poll would bend the first rate by 5 %."""
    web.answer("/metrics", LLAMACPP)
    ready = []

    def mono() -> float:
        ready.append(collector._fetch is not None)
        return 1.0

    collector = ServerCollector(web.url, clock=Clock(mono=mono))
    poll(collector)
    assert all(ready)


def test_facts_are_not_asked_on_every_poll(web: Web) -> None:
    """Facts are asked for after the first success, then once a minute; in between they are remembered."""
    serve_vllm(web)
    time = Time()
    collector = ServerCollector(web.url, clock=time.clock)

    async def polls() -> list[Sample]:
        samples: list[Sample] = []
        for _ in range(62):
            samples += await collector.collect()
            time.now += 1.0
        await collector.close()
        return samples

    samples = asyncio.run(polls())
    assert web.paths.count("/metrics") == 62
    assert web.paths.count("/version") == web.paths.count("/v1/models") == 2
    assert {sample.facts["engine_version"] for sample in samples} == {"0.32.0"}


def test_facts_survive_a_failure(web: Web) -> None:
    """What was known stays known when an endpoint fails later, until the server restarts."""
    serve_vllm(web)
    time = Time()
    collector = ServerCollector(web.url, clock=time.clock)

    async def polls() -> list[Sample]:
        samples = [*await collector.collect()]
        web.answer("/version", b"", 500)
        time.now += 61.0
        samples += await collector.collect()
        web.answer("/metrics", VLLM.replace(b"process_start_time_seconds ", b"process_start_time_seconds 1"))
        time.now += 1.0
        samples += await collector.collect()
        await collector.close()
        return samples

    samples = asyncio.run(polls())
    assert [sample.facts.get("engine_version") for sample in samples] == ["0.32.0", "0.32.0", None]
    assert "facts from /version" in [each.what for each in samples[2].missing]


@pytest.mark.parametrize("sign", ["start time", "counter", "down", "kind"])
def test_facts_are_asked_again_after_a_restart(web: Web, sign: str) -> None:
    """A new start time, a counter that fell, a time without an answer, or another kind of server: ask again at once."""
    serve_vllm(web)
    web.answer("/props", b'{"model_path": "/models/other.gguf"}')
    collector = ServerCollector(web.url, clock=Time().clock)

    async def polls() -> list[Sample]:
        samples = [*await collector.collect(), *await collector.collect()]
        web.answer("/version", b'{"version":"0.33.0"}')
        if sign == "start time":
            web.answer("/metrics", VLLM.replace(b"process_start_time_seconds ", b"process_start_time_seconds 1"))
        elif sign == "counter":
            lines = VLLM.splitlines(keepends=True)
            web.answer(
                "/metrics",
                b"".join(
                    line.rpartition(b" ")[0] + b" 1\n" if line.startswith(b"vllm:generation_tokens_total{") else line
                    for line in lines
                ),
            )
        elif sign == "down":
            web.answer("/metrics", b"", 503)
            await collector.collect()
            web.answer("/metrics", VLLM)
        else:  # with counters so high that none falls
            web.answer("/metrics", LLAMACPP.replace(b" 36", b" 36000000").replace(b" 60", b" 60000000"))
        samples += await collector.collect()
        await collector.close()
        return samples

    first, second, third = asyncio.run(polls())
    assert first.facts["engine_version"] == second.facts["engine_version"] == "0.32.0"
    if sign == "kind":
        assert (third.facts["engine"], third.facts["model"]) == ("llamacpp", "other.gguf")
        assert "engine_version" not in third.facts
    else:
        assert third.facts["engine_version"] == "0.33.0"


def test_restarted() -> None:
    """A restart is another start time or a counter that fell; a series that is new, gone or flat is none."""
    before = Reading(counters={"a": 5.0, "b": 2.0}, gauges={"start_time_seconds": 1.0})
    assert not restarted(before, before)
    assert not restarted(before, Reading(counters={"a": 5.0, "c": 0.0}))
    assert restarted(before, Reading(counters={"a": 4.0, "b": 3.0}))
    assert restarted(before, Reading(gauges={"start_time_seconds": 2.0}))


def test_one_connection_and_no_side_effects(web: Web) -> None:
    """All GETs share one connection, and only the page and the facts endpoints are ever asked for."""
    serve_vllm(web)
    poll(ServerCollector(web.url, clock=Clock()), times=3)
    assert web.connections == 1
    assert set(web.paths) == {"/metrics", "/version", "/v1/models"}


def test_no_dialect_asks_for_anything_that_acts() -> None:
    """No dialect names an endpoint that generates (SGLang's `/health` does), resets or changes anything."""
    harmless = {"/version", "/v1/models", "/props", "/info"}
    harmless |= {"/server_info", "/get_server_info", "/model_info", "/get_model_info"}
    asked = [endpoint for dialect in DIALECTS for endpoint in dialect.endpoints]
    assert {path for endpoint in asked for path in (endpoint.path, endpoint.once) if path} <= harmless


def test_an_endpoint_that_was_renamed_is_asked_for_by_its_old_name_too(web: Web) -> None:
    """An older SGLang knows `/get_server_info` and answers 404 to `/server_info`."""
    web.answer("/metrics", b'sglang:num_running_reqs{model_name="m"} 1\n')
    web.answer("/get_server_info", b'{"version":"0.4.6","max_running_requests":32,"dp_size":2}')
    [sample] = poll(ServerCollector(web.url, clock=Clock()))
    assert sample.facts["engine_version"] == "0.4.6"
    assert sample.gauges["max_running_requests"] == 64.0
    assert "/health" not in web.paths


def test_token(web: Web) -> None:
    """A header goes with every request, in the place of user and password of the URL, and into no Sample."""
    serve_vllm(web)
    headers = {"authorization": "Bearer s3cret"}
    [sample] = poll(ServerCollector(f"http://user:hidden@{web.place}", clock=Clock(), headers=headers))
    assert [sent["authorization"] for _, sent in web.requests] == ["Bearer s3cret"] * 3
    assert sample.source == web.url
    assert "s3cret" not in repr(sample)
    assert "hidden" not in repr(sample)


def test_user_and_password(web: Web) -> None:
    """User and password of the URL go as a header, and into no Sample, not even of a failure that quotes them."""
    web.answer("/metrics", b"dXNlcjpoaWRkZW4= is wrong", 500)
    [sample] = poll(ServerCollector(f"http://user:hidden@{web.place}", clock=Clock()))
    assert web.requests[0][1]["authorization"] == "Basic dXNlcjpoaWRkZW4="
    assert "dXNl" not in repr(sample)
    assert "hidden" not in repr(sample)


@pytest.mark.parametrize(
    ("status", "body", "state", "words"),
    [
        (401, b"{}", State.UNAUTHORISED, "it wants a token"),
        (503, b'{"error":{"message":"Loading model","code":503}}', State.STARTING, "Loading model"),
        (200, b"<html>hello</html>", State.DOWN, "HTML instead of metrics"),
        (200, b"# only comments\n", State.DOWN, "without a single sample"),
        (
            200,
            b"python_info 1\nnode_load1 0.5\nnode_load5 0.5\nnode_load15 1\nnode_time 2\n",
            State.DOWN,
            "a metrics page of an unknown kind (first names: node_load1, node_load5, node_load15)",
        ),
        (200, b"python_info 1\n", State.DOWN, "(first names: python_info)"),
    ],
)
def test_failures(web: Web, status: int, body: bytes, state: State, words: str) -> None:
    """What is no page of a known server is a Sample with a state and a reason, and nothing else is asked for."""
    web.answer("/metrics", body, status)
    [sample] = poll(ServerCollector(web.url, clock=Clock()))
    assert sample.state is state
    assert words in sample.reason
    assert f"{web.url}/metrics" in sample.reason
    assert not sample.counters
    assert web.paths == ["/metrics"]


def test_bad_lines(web: Web) -> None:
    """Lines that are not UTF-8 or no samples are skipped and told; NaN and infinities do not stop the reading."""
    web.answer("/metrics", LLAMACPP + b"\xff\xfe{ 1\nllamacpp:n_decode_total NaN\nllamacpp:x +Inf\n")
    [sample] = poll(ServerCollector(web.url, clock=Clock()))
    assert sample.state is State.OK
    assert sample.counters["output_tokens_total"] == 60
    assert "engine_steps" not in sample.counters
    [told] = [each for each in sample.missing if each.what == "some lines of the metrics page"]
    assert told.why.startswith("1 could not be read, the first: ")
    assert told.why.isprintable()


def test_duplicates(web: Web) -> None:
    """A series that stands twice on a page has its first value, and that there are two is told."""
    web.answer("/metrics", LLAMACPP)
    [sample] = poll(ServerCollector(web.url, clock=Clock()))
    assert not [each for each in sample.missing if each.what == "some series of the metrics page"]
    web.answer("/metrics", LLAMACPP + b"llamacpp:tokens_predicted_total 7\nllamacpp:requests_processing 9\n")
    [sample] = poll(ServerCollector(web.url, clock=Clock()))
    assert sample.counters["output_tokens_total"] == 60
    [told] = [each for each in sample.missing if each.what == "some series of the metrics page"]
    assert told.why == "2 stand twice on it: the first value is taken"


def test_endless_page(web: Web) -> None:
    """What of a page was not read because there is too much of it is told."""
    web.answer("/metrics", LLAMACPP + b"x\n" * (MAX_BAD_LINES + 1))
    [sample] = poll(ServerCollector(web.url, clock=Clock()))
    assert sample.counters["output_tokens_total"] == 60
    [told] = [each for each in sample.missing if each.what == "the rest of the metrics page"]
    assert told.why == "it was not read: the page has more than 10,000 bad lines"


def test_comes_back(web: Web) -> None:
    """A server that fails and comes back is read again."""
    web.answer("/metrics", b"", 500)
    collector = ServerCollector(web.url, clock=Clock())

    async def polls() -> list[Sample]:
        samples = [*await collector.collect()]
        web.answer("/metrics", LLAMACPP)
        samples += await collector.collect()
        await collector.close()
        return samples

    assert [sample.state for sample in asyncio.run(polls())] == [State.DOWN, State.OK]


def test_authority(tls_web: Web) -> None:
    """A server whose authority is named by a file is trusted."""
    tls_web.answer("/metrics", LLAMACPP)
    url = f"https://{tls_web.place}"
    [sample] = poll(ServerCollector(url, clock=Clock(), ca_file=str(SERVED / "localhost.pem")))
    assert sample.state is State.OK
    assert sample.source == url


def test_unusable_arguments(tmp_path: Path) -> None:
    """A URL, a header or a CA file that cannot be used is refused at once, in one line, without the token."""
    clock = Clock()
    empty = tmp_path / "empty.pem"
    empty.write_text("")
    with pytest.raises(ValueError, match="unusable URL"):
        ServerCollector("ftp://h", clock=clock)
    with pytest.raises(ValueError, match=r"unusable CA file .*No such file"):
        ServerCollector("h", clock=clock, ca_file=str(tmp_path / "none.pem"))
    with pytest.raises(ValueError, match="unusable CA file"):
        ServerCollector("h", clock=clock, ca_file=str(empty))
    with pytest.raises(ValueError, match="unusable header: write it"):
        ServerCollector("h", clock=clock, headers={"s3cret token": "x"})
    with pytest.raises(ValueError, match="unusable header X-Key") as raised:
        ServerCollector("h", clock=clock, headers={"X-Key": "s3cret\r\nHost: evil"})
    assert "s3cret" not in str(raised.value)


def test_close_before_any_poll() -> None:
    """A collector that never polled closes quietly, and so does what fetches."""
    asyncio.run(ServerCollector("h", clock=Clock()).close())
    asyncio.run(Fetch().close())


def test_a_page_of_steps_is_counted_on(web: Web) -> None:
    """TensorRT-LLM tells each step once: what a poll reads is added to what was read before, over a failure too."""
    step = b'[{"iter":1,"numActiveRequests":2,"inflightBatchingStats":{"numGenRequests":2,"numCtxTokens":5}}]'
    collector = ServerCollector(web.url, clock=Clock())

    async def run() -> list[Sample]:
        samples: list[Sample] = []
        for body, status in ((step, 200), (b"busy", 500), (step, 200), (b"[]", 200)):
            web.answer("/metrics", body, status)
            samples += await collector.collect()
        await collector.close()
        return samples

    first, failed, third, empty = asyncio.run(run())
    assert first.counters["output_tokens_total"] == 2.0
    assert failed.state is State.DOWN
    assert third.counters["output_tokens_total"] == 4.0
    assert third.facts["engine"] == "trtllm"
    assert (empty.counters, empty.gauges) == (third.counters, {})


def test_an_ollama_is_told_by_its_loaded_models(web: Web) -> None:
    """It has no metrics page: what it has loaded is polled instead, and what cannot be seen is named."""
    web.answer("/api/ps", b'{"models":[{"name":"mistral:latest","size":400,"size_vram":100,"context_length":4096}]}')
    web.answer("/api/version", b'{"version":"0.33.0"}')
    web.answer("/api/tags", b'{"models":[{"name":"mistral:latest"}]}')
    [sample] = poll(ServerCollector(web.url, clock=Clock()))
    assert sample.state is State.OK
    assert sample.facts["engine"] == "ollama"
    assert sample.facts["engine_version"] == "0.33.0"
    assert sample.facts["model"] == "mistral:latest"
    assert sample.facts["offloaded_to_gpu"] == "25%"
    assert sample.gauges == {"max_model_len": 4096.0}
    assert "ttft_seconds" in {each.what for each in sample.missing}


def test_a_page_elsewhere_is_found_and_remembered(web: Web) -> None:
    """NIM has its page at `/v1/metrics`: it is found from the base URL, and then asked for at once."""
    web.answer("/v1/metrics", text("nim").encode())
    collector = ServerCollector(web.url, clock=Clock())

    async def run() -> list[Sample]:
        samples = [*await collector.collect(), *await collector.collect()]
        await collector.close()
        return samples

    assert [sample.facts["engine"] for sample in asyncio.run(run())] == ["nim", "nim"]
    assert [path for path in web.paths if path.endswith("metrics")] == ["/metrics", "/v1/metrics", "/v1/metrics"]


def test_a_page_that_is_nowhere_is_told_of_where_it_was_looked_for(web: Web) -> None:
    """A server that answers 404 everywhere is named with the URL that the user meant."""
    [sample] = poll(ServerCollector(web.url, clock=Clock()))
    assert sample.state is State.DOWN
    assert f"404 from {web.url}/metrics" in sample.reason


def test_a_llama_cpp_tells_what_its_running_requests_have_generated(web: Web) -> None:
    """60 tokens of requests that ended are on the page, 41 of the one that runs in `/slots`: 101, and nothing lumpy."""
    web.answer("/metrics", LLAMACPP)
    web.answer(
        "/slots", b'[{"is_processing":true,"id_task":3,"next_token":[{"n_decoded":41}]},{"is_processing":false}]'
    )
    [sample] = poll(ServerCollector(web.url, clock=Clock()))
    assert sample.counters["output_tokens_total"] == 101.0
    assert "output_tokens_total" not in sample.facts.get("lumpy_counters", "")
    assert web.paths == ["/metrics", "/slots", "/props"]


def test_an_idle_llama_cpp_is_not_asked_for_its_slots(web: Web) -> None:
    """`/slots` would wake a server that sleeps: while nothing runs, the page tells all."""
    web.answer("/metrics", LLAMACPP.replace(b"requests_processing 1", b"requests_processing 0"))
    [sample, *_] = poll(ServerCollector(web.url, clock=Clock()), times=2)
    assert sample.counters["output_tokens_total"] == 60.0
    assert "/slots" not in web.paths


@pytest.mark.parametrize(
    ("status", "body", "why", "asked"),
    [
        (501, b"{}", "501 from /slots: start llama-server with --slots", 1),
        (404, b"", "404 from /slots: there is none", 1),
        (401, b"{}", "401 from /slots: it wants a token; give one with --token-env NAME", 1),
        (503, b'{"error":{"message":"no slot"}}', '503 from /slots "no slot"', 2),
        (200, b"<html>", "200 from /slots", 2),
    ],
)
def test_a_llama_cpp_without_slots(web: Web, status: int, body: bytes, why: str, asked: int) -> None:
    """The page stands alone and the reason is told; what was refused for good is not asked for at each poll."""
    web.answer("/metrics", LLAMACPP)
    web.answer("/slots", body, status)
    samples = poll(ServerCollector(web.url, clock=Clock()), times=2)
    for sample in samples:
        assert sample.state is State.OK
        assert sample.counters["output_tokens_total"] == 60.0
        assert "output_tokens_total" in sample.facts["lumpy_counters"]
        [told] = [each.why for each in sample.missing if each.what == "output_tokens_total while a request runs"]
        assert told.endswith(why)
    assert web.paths.count("/slots") == asked


def test_slots_are_asked_for_again_after_a_minute(web: Web) -> None:
    """A server that was started anew with `--slots` is found out."""
    web.answer("/metrics", LLAMACPP)
    time = Time()
    collector = ServerCollector(web.url, clock=time.clock)

    async def run() -> list[Sample]:
        samples = [*await collector.collect()]
        web.answer("/slots", b'[{"is_processing":true,"id_task":3,"next_token":[{"n_decoded":41}]}]')
        for passed in (1.0, 60.0):
            time.now += passed
            samples += await collector.collect()
        await collector.close()
        return samples

    assert [each.counters["output_tokens_total"] for each in asyncio.run(run())] == [60.0, 60.0, 101.0]


@pytest.mark.parametrize("status", [404, 405, 501])
def test_a_server_without_a_metrics_page_is_no_server_that_is_down(web: Web, status: int) -> None:
    """It answers `/v1/models`: it is there, its model is known, and each quantity is named with what would tell it."""
    web.answer("/metrics", b"", status)
    web.answer("/v1/models", b'{"object":"list","data":[{"id":"phi","owned_by":"me","max_model_len":4096}]}')
    first, second = poll(ServerCollector(web.url, clock=Clock()), times=2)
    assert (first.state, first.reason) == (State.OK, "")
    assert first.facts == {"engine": "openai", "model": "phi"}
    assert first.gauges == {"max_model_len": 4096.0}
    assert (first.counters, first.histograms) == ({}, {})
    told = {each.what: each for each in first.missing}
    assert told["the metrics page"].why.startswith(f"{status} from {web.url}/metrics")
    assert told["the metrics page"].consequence == "only --probe shows what a client gets"
    assert told["ttft_seconds"].why == "the server has no metrics page"
    assert told["ttft_seconds"].consequence == "TTFT is known only with --probe"
    assert {"output_tokens_total", "requests_running", "kv_cache_usage"} <= set(told)
    assert second.state is State.OK
    assert web.paths.count("/metrics") == 1
    assert web.paths[-1] == "/v1/models"


def test_a_server_without_a_metrics_page_goes_down_and_is_looked_at_anew(web: Web) -> None:
    """Once a minute the page is looked for again; a server that fails at `/v1/models` is down at once."""
    web.answer("/metrics", b"", 501)
    web.answer("/v1/models", b'{"object":"list","data":[{"id":"small-llama","owned_by":"llamacpp"}]}')
    web.answer("/props", b'{"total_slots":4,"build_info":"b1"}')
    time = Time()
    collector = ServerCollector(web.url, clock=time.clock)

    async def run() -> list[Sample]:
        samples = [*await collector.collect()]
        web.answer("/v1/models", b"busy", 500)
        samples += await collector.collect()
        web.answer("/v1/models", b'{"object":"list","data":[{"id":"small-llama","owned_by":"llamacpp"}]}')
        samples += await collector.collect()
        web.answer("/metrics", LLAMACPP)
        for passed in (30.0, 30.0):
            time.now += passed
            samples += await collector.collect()
        await collector.close()
        return samples

    first, failed, back, still, page = asyncio.run(run())
    assert first.facts == {"engine": "llamacpp", "model": "small-llama", "engine_version": "b1"}
    assert first.gauges == {"max_running_requests": 4.0}
    assert failed.state is State.DOWN
    assert "501" in failed.reason
    assert (back.state, still.state, still.counters) == (State.OK, State.OK, {})
    assert page.counters["output_tokens_total"] == 60.0


def test_a_server_without_a_page_that_wants_a_token(web: Web) -> None:
    """No metrics page, and `/v1/models` wants a token: it is there, and what is wanting is said."""
    web.answer("/v1/models", b"{}", 401)
    [sample] = poll(ServerCollector(web.url, clock=Clock()))
    assert sample.state is State.UNAUTHORISED
    assert sample.reason == "401 from /v1/models: it wants a token; give one with --token-env NAME"


@pytest.mark.parametrize("body", [b"<html>all is well</html>", b"[]", b'{"data":[1]}', b"pong"])
def test_what_answers_everything_is_no_server_without_a_page(web: Web, body: bytes) -> None:
    """A web server that says 200 to any path serves no models: it is down, with what was found there."""
    web.answer("/v1/models", body)
    [sample] = poll(ServerCollector(web.url, clock=Clock()))
    assert sample.state is State.DOWN
    assert "/v1/models" in sample.reason
