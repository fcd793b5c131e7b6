"""What may go wrong with bytes on their way, and what a server may write that none should."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

NUMBERS = (
    *(b"NaN", b"+Inf", b"-Inf", b"nan", b"infinity", b"-1", b"-0.0", b"0", b"-1e18", b"-3.5", b"1e308", b"-1e308"),
    *(b"1.7976931348623157e308", b"1e400", b"5e-324", b"0x1F", b"0x1p4", b"1_000", b"9007199254740993", b"1e-320"),
    *(b"", b"1e", b"1,5", b"18446744073709551616", b"1" * 400, "\u0661\u0662".encode(), b"true", b"null", b"1.5.2"),
    *(b"9" * 190, b"7", b"64", b"4096"),
)
TEXTS = (
    *(b"\x1b[31mred\x1b[0m", b"\x1b]0;title\x07", b"\x1bP+q544e\x1b\\", "\x9b31m".encode(), b"\x07\x08\x00", b"\x7f"),
    *("\u202eevil\u202c".encode(), "\u2028\u2029\x85".encode(), b"\xff\xfe", b"\xc3(", b"\xed\xa0\x80", b"\r\t\x0b"),
    *(("a" + "\u0301" * 50).encode(), b"x" * 3000, "\U0001f468\u200d\U0001f469".encode(), "漢字".encode() * 90),
    *(b"", b"None", b"nan", b"\\", b"\\n\\n", b'\\"', b"{}", b"%s", b"<script>alert(1)</script>", b"a|b`c*d_e#f"),
    *(b"http://user:password@host/", b"/" * 200, b" ", b"0", b"-1", b"1e999", b"\xe2\x80\x8b", b"\xef\xbb\xbf"),
)
_NUMBER = re.compile(rb"[-+]?(?:\d+\.?\d*(?:[eE][-+]?\d+)?|NaN|[+-]?Inf)")
_GROWS = re.compile(rb"_(?:total|sum|count|bucket)(?:\{.*\})? [^ ]+$|^llamacpp:.*_total ")
_LABEL = re.compile(rb'([a-zA-Z_]+)="((?:[^"\\]|\\.)*)"')


def grown(body: bytes, share: float) -> bytes:
    """Let what a page counts be larger by a share: what it would show a moment later."""
    lines = body.split(b"\n")
    for index, line in enumerate(lines):
        if not line.startswith(b"#") and _GROWS.search(line):
            series, _, number = line.rpartition(b" ")
            try:
                lines[index] = series + b" " + repr(float(number) * (1 + share)).encode()
            except ValueError:
                continue
    return b"\n".join(lines)


def mutated(body: bytes, random: Random, other: bytes = b"") -> bytes:
    """Let one to six things be wrong with a page; `other` is a page that it may be mixed with."""
    for _ in range(random.choice((1, 1, 2, 3, 6))):
        body = (
            _mixed(body, other, random) if other and random.random() < 0.05 else random.choice(_OF_A_PAGE)(body, random)
        )
    return body


def mangled(body: bytes, random: Random) -> bytes:
    """Damage bytes, whatever they mean: flip, cut, repeat, insert."""
    for _ in range(random.choice((1, 1, 2, 5, 30))):
        at = random.randint(0, len(body))
        to = min(len(body), at + random.choice((1, 1, 4, 50, 2000)))
        match random.randrange(6):
            case 0 if at < len(body):
                body = body[:at] + bytes((body[at] ^ 1 << random.randrange(8),)) + body[at + 1 :]
            case 1:
                body = body[:at]
            case 2:
                body = body[:at] + body[to:]
            case 3:
                body = body[:to] + body[at:to] * random.choice((1, 2, 9)) + body[to:]
            case 4:
                body = body[:at] + random.choice((*NUMBERS, *TEXTS)) + body[at:]
            case _:
                body = body[:at] + random.randbytes(random.choice((1, 3, 20))) + body[to:]
    return body


def mutated_json(body: bytes, random: Random) -> bytes:
    """Put something else in one to four places of a JSON document; or damage its bytes."""
    if random.random() < 0.25:
        return mangled(body, random)
    document = json.loads(body)
    for _ in range(random.choice((1, 1, 2, 4))):
        document = _replaced(document, random)
    text = json.dumps(document, ensure_ascii=random.random() < 0.5).encode(errors="surrogatepass")
    return mangled(text, random) if random.random() < 0.1 else text


def _replaced(node: Any, random: Random) -> Any:
    kind = random.randrange(10)
    if isinstance(node, dict) and node and kind:
        key = random.choice(list(node))
        if kind == 1:
            return {name: value for name, value in node.items() if name != key}
        return {**node, _text(random): _odd(random)} if kind == 2 else {**node, key: _replaced(node[key], random)}
    if isinstance(node, list) and node and kind:
        at = random.randrange(len(node))
        if kind == 1:
            return node[:at] + node[at + 1 :]
        return (
            node * random.choice((2, 50)) if kind == 2 else [*node[:at], _replaced(node[at], random), *node[at + 1 :]]
        )
    return _odd(random)


def _odd(random: Random) -> Any:
    deep: list[Any] = []
    for _ in range(random.choice((3, 200, 900))):
        deep = [deep]
    numbers = (0, -1, 1, 2**31, 2**53, 2**63, 2**64, -(2**63), 10**30, 10**400, 0.5, -0.5, 1e308, -1e308, 5e-324)
    return random.choice(
        (*numbers, float("nan"), float("inf"), True, False, None, "", [], {}, [1], {"a": 1}, deep, _text(random))
    )


def _text(random: Random) -> str:
    return random.choice(TEXTS).decode("utf-8", random.choice(("replace", "surrogateescape")))


# --- what may be wrong with a page


def _somewhere(lines: list[bytes], random: Random) -> int:
    """Choose a line, of eight the first with a sample."""
    drawn = [random.randrange(len(lines)) for _ in range(8)]
    return next((each for each in drawn if lines[each] and not lines[each].startswith(b"#")), drawn[0])


def _by_lines(change: Callable[[list[bytes], int, Random], list[bytes] | None]) -> Callable[[bytes, Random], bytes]:
    def mutate(body: bytes, random: Random) -> bytes:
        lines = body.split(b"\n")
        changed = change(lines, _somewhere(lines, random), random)
        return b"\n".join(lines if changed is None else changed)

    return mutate


def _number(lines: list[bytes], at: int, random: Random) -> None:
    series, _, _ = lines[at].rpartition(b" ")
    lines[at] = series + b" " + random.choice(NUMBERS)


def _numbers(lines: list[bytes], at: int, random: Random) -> None:
    name, number = re.split(rb"[{ ]", lines[at], maxsplit=1)[0], random.choice(NUMBERS)
    for index, line in enumerate(lines):
        if line.startswith(name) and random.random() < 0.8:
            lines[index] = line.rpartition(b" ")[0] + b" " + number


def _fallen(lines: list[bytes], at: int, random: Random) -> None:
    """Let what is counted be less than it was: all of it, or one family."""
    name = b"" if random.random() < 0.5 else re.split(rb"[{ ]", lines[at], maxsplit=1)[0]
    share = random.choice((0.0, 0.5, 0.999))
    for index, line in enumerate(lines):
        if line.startswith(name) and _GROWS.search(line):
            series, _, number = line.rpartition(b" ")
            if _NUMBER.fullmatch(number):
                lines[index] = series + b" " + repr(float(number) * share).encode()


def _label_value(lines: list[bytes], at: int, random: Random) -> None:
    pairs = list(_LABEL.finditer(lines[at]))
    if pairs:
        begin, end = random.choice(pairs).span(2)
        lines[at] = lines[at][:begin] + random.choice((*TEXTS, *NUMBERS)) + lines[at][end:]


def _label_everywhere(lines: list[bytes], at: int, random: Random) -> None:
    pairs = _LABEL.findall(lines[at])
    if pairs:
        name, text = random.choice(pairs)[0], random.choice(TEXTS)
        pattern = re.compile(rb"\b" + name + rb'="(?:[^"\\]|\\.)*"')
        for index, line in enumerate(lines):
            lines[index] = pattern.sub(lambda _: name + b'="' + text + b'"', line)


def _no_label(lines: list[bytes], at: int, random: Random) -> None:
    pairs = _LABEL.findall(lines[at])
    name = random.choice(pairs)[0] if pairs else b"le"
    everywhere = random.random() < 0.5
    for index in range(len(lines)) if everywhere else (at,):
        lines[index] = re.sub(rb"(?<=[{,])" + name + rb'="(?:[^"\\]|\\.)*",?', b"", lines[index])


def _more_labels(lines: list[bytes], at: int, random: Random) -> None:
    more = b",".join(b'x%d="%d"' % (n, random.randrange(9)) for n in range(random.choice((1, 5, 80))))
    everywhere = random.random() < 0.2
    for index in range(len(lines)) if everywhere else (at,):
        lines[index] = lines[index].replace(b"{", b"{" + more + b",", 1)


def _explosion(lines: list[bytes], at: int, random: Random) -> list[bytes]:
    """Write a line, or the whole family, many times, with another value of one of its labels each time."""
    pairs = list(_LABEL.finditer(lines[at]))
    if not pairs:
        return lines
    label = random.choice(pairs).group(1)
    name = re.split(rb"[{ ]", lines[at], maxsplit=1)[0].removesuffix(b"_bucket")
    family = [lines[at]] if random.random() < 0.5 else [each for each in lines if each.startswith(name)]
    times = random.choice((3, 30, 300, 3000)) // max(1, len(family) // 10) + 1
    pattern = re.compile(rb"\b" + label + rb'="(?:[^"\\]|\\.)*"')
    copies = [pattern.sub(b'%s="%d"' % (label, n), line) for n in range(times) for line in family]
    return [*lines[:at], *copies, *lines[at:]]


def _bound(lines: list[bytes], _at: int, random: Random) -> None:
    bounds = [index for index, line in enumerate(lines) if b'le="' in line]
    if bounds:
        index = random.choice(bounds)
        lines[index] = re.sub(rb'le="[^"]*"', b'le="' + random.choice(NUMBERS) + b'"', lines[index])


def _no_bound(lines: list[bytes], _at: int, random: Random) -> list[bytes]:
    gone = random.choice((b'le="+Inf"', b'le="0.1"', b"_sum", b"_count", b"_bucket", b'le="1'))
    return [line for line in lines if gone not in line]


def _disagree(lines: list[bytes], _at: int, random: Random) -> None:
    buckets = [index for index, line in enumerate(lines) if b"_bucket{" in line]
    for index in random.sample(buckets, min(len(buckets), random.choice((1, 5, 40)))):
        lines[index] = lines[index].rpartition(b" ")[0] + b" %d" % random.choice((0, 1, 7, 10**6, 10**18))


def _type(lines: list[bytes], _at: int, random: Random) -> None:
    types = (b"counter", b"gauge", b"histogram", b"summary", b"untyped", b"unknown", b"info", b"\x1b[2J", b"")
    for index, line in enumerate(lines):
        if line.startswith(b"# TYPE") and random.random() < 0.3:
            lines[index] = line.rpartition(b" ")[0] + b" " + random.choice(types)


def _renamed(lines: list[bytes], _at: int, random: Random) -> None:
    old, new = random.choice(
        ((b"vllm:", b"vllm_"), (b"sglang:", b"sglang_"), (b"vllm:", b"sglang:"), (b"sglang:", b"vllm:"),
         (b"_seconds", b"_ms"), (b"_total", b""), (b":", b"::"), (b"tgi_", b"vllm:"), (b"nv_", b"NV_"))
    )  # fmt: skip
    for index, line in enumerate(lines):
        lines[index] = line.replace(old, new)


def _tail(lines: list[bytes], at: int, random: Random) -> None:
    tails = (b" 1395066363000", b" -1", b' # {trace_id="a b"} 0.05 1.7e9', b" # {} 1", b"\t5", b" 1 2 3", b"\r", b" #")
    everywhere, tail = random.random() < 0.3, random.choice(tails)
    for index in range(len(lines)) if everywhere else (at,):
        lines[index] += tail


def _order(lines: list[bytes], at: int, random: Random) -> list[bytes]:
    to = min(len(lines), at + random.choice((2, 30, 10**6)))
    part = lines[at:to]
    match random.randrange(4):
        case 0:
            random.shuffle(part)
        case 1:
            part = part * random.choice((2, 3))
        case 2:
            part = []
        case _:
            part.reverse()
    return [*lines[:at], *part, *lines[to:]]


def _inserted(lines: list[bytes], at: int, random: Random) -> list[bytes]:
    bad = (*TEXTS, b"<html>", b'{"a": 1}', b"x" * 40_000, b"{" * 500, b'a{b="c', b"a" * 2000 + b" 1", b'{"a b"} 1')
    return [*lines[:at], *(random.choice(bad) for _ in range(random.choice((1, 3, 200)))), *lines[at:]]


def _no_page(body: bytes, random: Random) -> bytes:
    match random.randrange(6):
        case 0:
            return json.dumps(body.decode(errors="replace")).encode()
        case 1:
            return b"\xef\xbb\xbf" + body
        case 2:
            return body.replace(b"\n", random.choice((b"\r\n", b"\r", b"\n\n\n")))
        case 3:
            return random.choice((b"", b"<html><body>Sign in</body></html>", b"\x1f\x8b\x08" + body, b"[" * 100_000))
        case 4:
            return body.decode(errors="replace").encode(random.choice(("utf-16", "latin-1", "utf-32")), "replace")
        case _:
            return body + random.choice((b"a 1\n" * 60_000, b"\n" * 250_000, b"oops\n" * 12_000))


def _mixed(body: bytes, other: bytes, random: Random) -> bytes:
    """Let another server speak from the middle of the page on, or in turn."""
    if random.random() < 0.5:
        return body[: random.randint(0, len(body))] + other[random.randint(0, len(other)) :]
    return body + b"\n" + other


_OF_A_PAGE: tuple[Callable[[bytes, Random], bytes], ...] = (
    mangled,
    mangled,
    _no_page,
    *map(
        _by_lines,
        (
            *(_number, _number, _number, _numbers, _numbers, _fallen, _fallen, _label_value, _label_value),
            *(_label_everywhere, _no_label, _more_labels, _explosion, _bound, _bound, _no_bound, _disagree, _disagree),
            *(_type, _renamed, _tail, _order, _order, _inserted),
        ),
    ),
)
