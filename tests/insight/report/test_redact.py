"""What may be passed on: no secret planted anywhere comes through, and all that is not one does."""

from __future__ import annotations

import re
from enum import Enum
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from insight.recommend.catalogue import ADVICE
from insight.report import FORMATS, render
from insight.report.disguise import Disguise
from insight.report.redact import NOTE, redact
from insight.rules import RULES
from metrics.observed import Host, Measure, Track
from metrics.quantity import QUANTITIES
from metrics.sample import Process, State
from metrics.snapshot import SinceMark, Snapshot
from tests.insight.report import canned

if TYPE_CHECKING:
    from collections.abc import Iterator

SECRETS = {
    "a URL with all in it": (
        "http://alice:pw0rd@gpu7.corp.example:8443/v1/models?token=abc123", "alice pw0rd gpu7 corp abc123"
    ),
    "a host": ("cannot resolve db1.internal.acme.com: no such name", "db1 acme"),
    "a host of two parts": ("cannot reach acme.com", "acme"),
    "an address": ("refused by 10.20.30.40:8000", "10.20.30.40"),
    "an address of IPv6": ("refused by [fd00:12::7]:8000 and fe80::1%eth0", "fd00 fe80"),
    "a hardware address": ("at 02:42:ac:11:00:02", "02:42:ac"),
    "a path": ("cannot read /data/acme-corp/chats/x.jsonl: denied", "acme-corp chats"),
    "a home": ("see /home/alice/.cache and ~alice/x", "alice"),
    "a home alone": ("no such directory /home/alice", "alice"),
    "a path of Windows": (r"C:\Users\alice\models\x.gguf", "alice"),
    "a share": (r"\\nas01\alice\models\x.gguf", "nas01 alice"),
    "a bucket": ("s3://acme-bucket/secret-team/llama", "acme-bucket secret-team"),
    "a token": ("Authorization: Bearer abcDEF123456789", "abcDEF123456789"),
    "a key of a provider": ("sk-proj-abcdefghij1234567890 and hf_abcdefghijKLMNOP", "sk-proj abcdefghijKLMNOP"),
    "a signed token": ("eyJhbGciOi.eyJzdWIiOiIx.c2lnbmF0dXJl", "eyJ c2ln"),
    "a flag": ("--api-key s3cr3t-value --max-num-seqs 8", "s3cr3t"),
    "a parameter": ("x?api_key=s3cr3t&y=1 password=hunter2", "s3cr3t hunter2"),
    "something long and random": ("id 4fQz81LmNw02XcVbn7RtYuIo93PaSdFg55", "4fQz81"),
    "an e-mail": ("ask alice.smith@acme.example", "alice.smith acme"),
    "a login": ("ssh bob@gpu9", "bob gpu9"),
    "labels": ("user=alice,instance=gpu7:8000,pod=vllm-7c9d-x2k9", "alice gpu7 7c9d"),
    "a token of letters alone": ("Authorization: Bearer qwertyuiopsecret", "qwertyuiopsecret"),
    "a header that is quoted": ("{'Authorization': 'Basic qwertyuiop', 'X-Api-Key': 'asdfghjkl'}", "qwertyu asdfgh"),
    "a token in JSON": ('{"token": "two wordsofit"} and token: qwertyuiop', "wordsofit qwertyuiop"),
    "JSON in JSON": (r'{\"token\": \"qwertyuiop\"}', "qwertyuiop"),
    "cookies": ("Cookie: sid=qwertyuiop; csrf=asdfghjkl", "qwertyuiop asdfghjkl"),
    "labels of Prometheus": ('x{host="nas01",user="alice"}', "nas01 alice"),
    "labels in JSON": ('{"hostname": "nas01", "user": "alice"}', "nas01 alice"),
    "names in quotes": ('namespace "acme-prod" of pod "gpu7-0"', "acme gpu7"),
    "a host with its port": ("upstream acme-gpu-07:8000 refused", "acme"),
    "a host at the end": ("could not resolve host: acme", "acme"),
    "a host in letters of its own": ("cannot reach müller-acme.example.com", "müller acme"),
    "a path with blanks": ("cannot read /data/acme corp/x today", "acme corp"),
    "a path in quotes": ('no "/home/alice smith/My Models/x y"', "alice smith My"),
    "a path of Windows with blanks": (r"C:\Users\alice smith\x.gguf", "alice smith"),
    "an identity": ("MIG-aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee", "aaaaaaaa eeee"),
}  # fmt: skip


_NAMES = re.compile(r"alice|bob|acme|gpu7|gpu9|db1|nas01")


def texts(node: Any) -> Iterator[str]:
    """Every text of plain data, keys included."""
    if isinstance(node, str):
        yield node
    elif isinstance(node, dict):
        for key, each in node.items():
            yield str(key)
            yield from texts(each)
    elif isinstance(node, list | tuple):
        for each in node:
            yield from texts(each)


def said(snapshot: Snapshot) -> str:
    return "\n".join(texts(msgspec.to_builtins(snapshot)))


def places(node: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place in a Snapshot at which a text stands that is no word of an enumeration: fields, items, keys."""
    if isinstance(node, str):
        if not isinstance(node, Enum):
            yield path
    elif isinstance(node, msgspec.Struct):
        for name in node.__struct_fields__:
            yield from places(getattr(node, name), (*path, name))
    elif isinstance(node, dict):
        for key, each in node.items():
            yield (*path, f"key {key}")
            yield from places(each, (*path, key))
    elif isinstance(node, list | tuple):
        for index, each in enumerate(node):
            yield from places(each, (*path, index))


def planted(node: Any, path: tuple[Any, ...], text: str) -> Any:
    """The same with another text at one place."""
    if not path:
        return text
    here, *rest = path
    if isinstance(node, msgspec.Struct):
        return replace(node, **{here: planted(getattr(node, here), tuple(rest), text)})
    if isinstance(node, dict):
        if isinstance(here, str) and here.startswith("key "):
            return {(text if key == here[4:] else key): each for key, each in node.items()}
        return {**node, here: planted(node[here], tuple(rest), text)}
    items = [planted(each, tuple(rest), text) if index == here else each for index, each in enumerate(node)]
    return tuple(items)


def full() -> Snapshot:
    """A Snapshot in which every text field of every kind of thing has a text."""
    base = canned.overloaded()
    users = (Process(1, "python3", "carol", 1.0, 0.5), Process(2, "acme_secret_job", "root"))
    gpus = (replace(base.gpus[0], processes=users, reason="x", gauges={"fan_speed": 0.4}), *base.gpus[1:])
    quality = {"accuracy": Measure("ratio", value=0.9, by={"family=maths": Measure("ratio", value=0.8)})}
    target = replace(base.targets[0], reason="slow")
    return replace(base, gpus=gpus, quality=quality, targets=(target,))


def small() -> Snapshot:
    """The same kinds of things, few of each."""
    base = full()
    (target,), host = base.targets, base.host
    assert host is not None
    track = {"ttft_p95": Track("s", 100.0, 1.0, (1.0, None))}
    few = {name: target.quantities[name] for name in ("ttft_seconds", "requests_finished")}
    return replace(
        base,
        targets=(replace(target, tracks=track, quantities=few),),
        gpus=(replace(base.gpus[0], tracks=track), replace(base.gpus[1], tracks={})),
        host=replace(host, quantities={"disk_used_bytes": host.quantities["disk_used_bytes"]}),
        risks=base.risks[:1],
        recommendations=base.recommendations[:1],
        onsets=base.onsets[:1],
        levels=(replace(base.levels[0], quantities=few),),
        events=(replace(base.events[0], target=target.id),),
        objectives=base.objectives[:1],
        since_mark=(SinceMark("mark 1", target.id, 100.0, 60.0, 60.0, few, few, why="too short"),),
        scorecards={target.id: base.scorecard},
    )


PLACES = sorted(places(small()), key=lambda path: (-len(path), any(str(each).startswith("key ") for each in path)))
"""The deepest first: a key that is written anew takes what is below it along."""


def test_the_places_are_all_of_them() -> None:
    """The test below reaches every text field that the definition of a Snapshot has, but for words of enumerations."""
    found = {name for path in PLACES for name in path if isinstance(name, str)}
    kinds: set[type] = set()

    def walk(kind: Any) -> Iterator[str]:
        for inner in getattr(kind, "__args__", ()):
            yield from walk(inner)
        if isinstance(kind, type) and issubclass(kind, msgspec.Struct) and kind not in kinds:
            kinds.add(kind)
            for field in msgspec.structs.fields(kind):
                if "str" in str(field.type) and not field.name.startswith("by"):
                    yield field.name
                yield from walk(field.type)

    unreached = set(walk(Snapshot)) - found
    assert unreached <= {"throttle_reasons", "needs"} | set(), unreached


@pytest.mark.parametrize("shift", range(len(SECRETS)))
def test_nothing_planted_comes_through(shift: int) -> None:
    """A secret at any place at which there can be a text is in no text of what is passed on.

    Every place gets one of the secrets, in the course of the runs each of them; names are those of this place alone,
    so that none is known from another.
    """
    snapshot, hidden = small(), []
    for index, path in enumerate(PLACES):
        text, words = list(SECRETS.values())[(index + shift) % len(SECRETS)]
        snapshot = planted(snapshot, path, _NAMES.sub(rf"\g<0>q{index}z", text))
        hidden += [(path, _NAMES.sub(rf"\g<0>q{index}z", word)) for word in words.split()]
    before, told = said(snapshot), said(redact(snapshot))
    for path, word in hidden:
        assert word in before, path
        assert word not in told, (path, word)


@pytest.mark.parametrize("format", FORMATS)
def test_no_format_tells(format: str) -> None:  # noqa: A002 - as in `render`
    """No report of a redacted Snapshot, in whatever form, names the server, the host or who works there."""
    snapshot = full()
    url = "http://gpu-host-7.corp.example:8000"
    moved = msgspec.json.decode(msgspec.json.encode(snapshot).replace(canned.URL.encode(), url.encode()), type=Snapshot)
    assert "gpu-host-7" in render(moved, format).decode()
    told = render(redact(moved), format).decode()
    for each in ("gpu-host-7", "corp.example", "carol", "acme_secret_job"):
        assert each not in told
    assert "server A" in told


def test_stand_ins_are_the_same_throughout() -> None:
    """Risks, advice and events still speak of the servers, GPUs and hosts that the Snapshot has."""
    told = redact(full())
    (server,) = told.targets
    assert (server.id, server.url) == ("server A", "server A")
    assert told.host is not None
    assert told.host.name == "host-1"
    assert {risk.target for risk in told.risks} == {"server A", "gpu:GPU-1", None}
    assert {each.target for each in told.onsets} == {"server A", "gpu:GPU-1"}
    assert [gpu.uuid for gpu in told.gpus] == ["GPU-0", "GPU-1"]
    assert told.recommendations[0].target == "server A"
    processes = told.gpus[0].processes or ()
    assert [(each.name, each.user) for each in processes] == [("python3", "user-1"), ("process-1", "root")]


def test_servers_are_lettered_in_their_order() -> None:
    """Thirty servers are A to Z and AA to AD; two URLs of which one begins with the other are kept apart."""
    one = canned.overloaded().targets[0]
    urls = [f"http://10.0.0.1:80{'0' * bool(i)}{i or ''}" for i in range(30)]
    targets = tuple(replace(one, id=url, url=url) for url in urls)
    told = redact(replace(canned.overloaded(), targets=targets))
    names = [each.url.removeprefix("server ") for each in told.targets]
    assert (names[0], names[25], names[26], names[29]) == ("A", "Z", "AA", "AD")
    assert len(set(names)) == 30


def test_it_says_that_it_was_redacted() -> None:
    """Who reads it is told that names are stand-ins and which flag keeps them, once."""
    told = redact(redact(full()))
    assert told.not_visible[-1] == NOTE or told.not_visible[-1].what == NOTE.what
    assert sum(each.what == NOTE.what for each in told.not_visible) == 1
    assert "--identifiers keeps what they are" in " ".join(render(told, "text").decode().split())


@pytest.mark.parametrize("name", canned.SNAPSHOTS)
def test_twice_is_once(name: str) -> None:
    """What is redacted stays as it is when it is redacted again."""
    once = redact(canned.SNAPSHOTS[name]())
    assert msgspec.to_builtins(redact(once)) == msgspec.to_builtins(once)


def numbers(node: Any) -> Iterator[float]:
    if isinstance(node, dict):
        for each in node.values():
            yield from numbers(each)
    elif isinstance(node, list | tuple):
        for each in node:
            yield from numbers(each)
    elif isinstance(node, int | float):
        yield node


def test_numbers_and_meaning_stay() -> None:
    """No number changes, and of the texts only those that tell where and whose."""
    before, after = (msgspec.to_builtins(each) for each in (full(), redact(full())))
    assert list(numbers(before)) == list(numbers(after))
    assert set(texts(before)) - set(texts(after)) <= {
        *(canned.URL, "gpu-host-7", "GPU-00000000", "GPU-00000001", "gpu:GPU-00000001", "carol", "acme_secret_job"),
    }


@pytest.mark.parametrize(
    "text",
    [
        "meta-llama/Llama-3.1-70B-Instruct",
        "DeepSeek-R1-Distill-Qwen-32B-AWQ-INT4-g128",
        "Qwen2.5-0.5B.gguf",
        "p95 20-40 s of 2 s at 14:02:05 on 2026-09-21T14:02:31Z",
        "1.2/s finished of 2.1/s, 97 tokens/s, and/or more",
        "--max-num-batched-tokens 8192, --token-env NAME, max_tokens=16",
        "libnvidia-ml.so.1 is not there: no NVIDIA driver is installed",
        "connection refused at 127.0.0.1:8000, [::1]:8000 or localhost:8000",
        "/v1/completions, /metrics and /proc/pressure/cpu",
        "580.82.07, 12.4, vLLM 0.32.0",
        "One server a GPU; i.e. no time-slicing, e.g. at night.",
        "refused at the gateway: 503",
        "it wants a token: --token-env NAME; time per output token: 20 ms",
        "node: not seen, the owner is the client who may wait, user: see below",
        "at 2026-09-21T14:02, 14:02:05, status:503, port:8000, ubuntu:22.04, GPU 3: 87 °C, PCI:0000:3b:00",
        "read /v1/models at 97 tokens/s, and/or more",
    ],
)
def test_what_tells_nothing_is_left_alone(text: str) -> None:
    """Names of models, numbers, times, flags, loopback and the paths of interfaces are no secrets."""
    disguise = Disguise()
    disguise.meet(text)
    assert disguise.text(text) == text


@pytest.mark.parametrize(
    ("model", "told"),
    [
        ("/home/alice/models/llama-3-8b", "llama-3-8b"),
        ("models/acme/llama-3-8b/", "llama-3-8b"),
        ("/data/x.gguf", "x.gguf"),
        ("./llama.gguf", "./llama.gguf"),
        ("s3://bucket/team/llama", "llama"),
        ("meta-llama/Llama-3.1-8B", "meta-llama/Llama-3.1-8B"),
        (None, None),
    ],
)
def test_a_path_as_a_model_name_is_cut_to_its_last_part(model: str | None, told: str | None) -> None:
    """The name of a model stays; of one that is a path, the last part, wherever it is named."""
    snapshot = canned.overloaded()
    target = replace(snapshot.targets[0], model=model, facts={"model": model or "", "flag_model": f"{model}"})
    found = redact(replace(snapshot, targets=(target,))).targets[0]
    assert found.model == told
    assert found.facts["model"] == (told or "")


def test_known_names_go_from_every_text() -> None:
    """A host or a user that is known from one place is replaced in all others, also as a bare word."""
    base = full()
    event = replace(base.events[0], text="carol moved it from thor to the gateway")
    told = redact(replace(base, events=(event,), host=Host("thor", State.OK, "", {}, {"name": "thor"})))
    assert told.events[0].text == "user-1 moved it from host-1 to the gateway"


def test_the_port_of_an_address_stays() -> None:
    """An instance by its address in brackets gets the stand-in of an address, not that of a host."""
    disguise = Disguise()
    disguise.meet("instance=[fd00::7]:8000")
    assert disguise.text("instance=[fd00::7]:8000") == "instance=[addr-1]:8000"


def test_a_word_that_anybody_could_be_called_is_no_name_elsewhere() -> None:
    """A user who is called as a word of a sentence, or of ours, changes only where it says that it is a user."""
    disguise = Disguise()
    for text in ("/home/may/x", "owner=time", "client=first", "user=p95", "host=ttft_seconds", "pod=acme-0"):
        disguise.meet(text)
    told = "requests may wait for some time; the first token comes, TTFT p95 is 8 s, by ttft_seconds"
    assert disguise.text(told) == told
    assert disguise.text("owner=time user=p95, ~/x of acme-0") == "owner=user-2 user=user-4, x of host-2"


def test_keys_that_become_one_are_told_apart() -> None:
    """Two mounts whose last parts are the same keep their two rows."""
    base = full()
    assert base.host is not None
    one = Measure("bytes", value=1.0)
    disks = {"disk_used_bytes": Measure("bytes", by={"mount=/mnt/a/data": one, "mount=/mnt/b/data": one})}
    told = redact(replace(base, host=replace(base.host, quantities=disks)))
    assert told.host is not None
    assert list(told.host.quantities["disk_used_bytes"].by) == ["mount=data", "mount=data (2)"]


def test_facts_that_say_what_they_are() -> None:
    """A fact whose name says that it is a secret, a host or a user is taken at its word."""
    facts = {
        "flag_api_key": "abc",
        "hf_token": "x",
        "hostname": "thor",
        "user": "dave",
        "max_num_batched_tokens": "8192",
    }
    base = full()
    told = redact(replace(base, targets=(replace(base.targets[0], facts=facts),))).targets[0].facts
    assert told == {
        "flag_api_key": "[redacted]",
        "hf_token": "[redacted]",
        "hostname": "host-2",
        "user": "user-2",
        "max_num_batched_tokens": "8192",
    }


@settings(max_examples=300)
@given(st.lists(st.one_of(st.text(max_size=40), st.sampled_from([each for each, _ in SECRETS.values()])), max_size=6))
def test_any_text_can_be_redacted(parts: list[str]) -> None:
    """Whatever the text, there is an answer, and to its answer the answer is the same."""
    text = " ".join(parts)
    disguise = Disguise()
    disguise.meet(text)
    once = disguise.text(text)
    again = Disguise()
    again.meet(once)
    assert again.text(once) == once or re.search(r"[^ -~]", text)


def test_quantities_keep_their_names() -> None:
    """The words of this program are nobody's, though a user may be called like one."""
    base = full()
    process = Process(1, "python", "mark")
    told = redact(replace(base, gpus=(replace(base.gpus[0], processes=(process,)),)))
    assert set(told.targets[0].quantities) <= set(QUANTITIES)
    assert [event.kind for event in told.events] == ["mark", "xid"]


def test_what_this_program_says_itself_is_left_alone() -> None:
    """No rule's and no advice's own text is taken for a host, a path or a secret."""
    words = [text for rule in RULES for text in (rule.title, rule.mitigation, rule.impact, rule.source)]
    for advice in ADVICE:
        words += [advice.title, advice.cost, advice.harm, advice.disproved_by, advice.because]
        actions = [each for some in advice.actions.values() for each in some]
        words += [text for each in actions for text in (each.text, f"{each.flag} {each.then}", each.vague)]
    model = canned.overloaded()
    (risk, *_) = model.risks
    risks = tuple(replace(risk, description=each) for each in words)
    told = redact(replace(model, risks=risks)).risks
    assert [each.description for each in told] == words
