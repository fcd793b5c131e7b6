"""The HTML report, held against parsers: it is whole, it stands alone, and nothing in it acts but what we wrote."""

from __future__ import annotations

import re
from base64 import b64encode
from hashlib import sha256
from html.parser import HTMLParser
from random import Random
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from insight.report import render
from insight.report.document import Block, Bullets, Chart, Column, Heading, Line, Paragraph, Table, one_line
from insight.report.hypertext import hypertext
from metrics.finding import Severity
from metrics.observed import Track
from tests.insight.report import canned
from tests.insight.report.test_report import infected

if TYPE_CHECKING:
    from metrics.snapshot import Snapshot

VOID = {"meta", "br"}
ALLOWED = {
    *("html", "head", "meta", "title", "style", "body", "main", "h1", "h2", "h3", "p", "ul", "li", "div", "table"),
    *("thead", "tbody", "tr", "th", "td", "br", "figure", "figcaption", "b", "span", "svg", "desc", "path", "text"),
}
LOADING = {"src", "href", "xlink:href", "srcset", "action", "formaction", "data", "poster", "background", "style"}
NASTY = ["<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "</title><script>", "]]>", "&lt;", "'", "\x00"]


class Strict(HTMLParser):
    """Fails where tags do not match, where an element or an attribute is not expected, or where ids are not unique."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.seen: list[str] = []
        self.ids: list[str] = []
        self.texts: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in ALLOWED, tag
        self.seen.append(tag)
        for name, value in attrs:
            assert name not in LOADING, (tag, name, value)
            assert not name.startswith("on"), (tag, name, value)
            if name == "id" and value:
                self.ids.append(value)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in VOID, tag
        self.handle_starttag(tag, attrs)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] != "style":
            self.texts.append(data)


def read(page: str) -> Strict:
    parser = Strict()
    parser.feed(page)
    parser.close()
    assert parser.open == []
    assert len(set(parser.ids)) == len(parser.ids)
    return parser


def tree(page: str) -> ET.Element:
    """The page as XML, which it is as well, so that every SVG in it is."""
    return ET.fromstring(page.removeprefix("<!DOCTYPE html>\n"))  # noqa: S314 -- our own page


@pytest.mark.parametrize("name", canned.SNAPSHOTS)
def test_it_is_whole_and_stands_alone(name: str) -> None:
    """Every tag is closed, no script, no link, no style but its own, and no address outside of a text."""
    page = render(canned.SNAPSHOTS[name](), "html").decode()
    parser = read(page)
    assert page.startswith("<!DOCTYPE html>\n<html lang=")
    assert "url(" not in page
    assert "@import" not in page
    assert parser.seen.count("h1") == 1
    tree(page)


def test_the_page_forbids_itself_everything() -> None:
    """Its policy lets nothing load or run but the one style sheet, whose hash it names."""
    page = render(canned.healthy(), "html").decode()
    policy = tree(page).find(".//meta[@http-equiv='Content-Security-Policy']")
    style = re.search(r"<style>(.*)</style>", page, re.DOTALL)
    assert policy is not None
    assert style is not None
    digest = b64encode(sha256(style[1].encode()).digest()).decode()
    assert policy.get("content") == f"default-src 'none'; style-src 'sha256-{digest}'"


def test_charts_can_be_read_without_being_seen() -> None:
    """Each drawing has a title and says in words what its lines did; a gap is a gap, an event a line of its own."""
    page = tree(render(canned.overloaded(), "html").decode())
    drawings = page.findall(".//svg")
    assert [each.findtext("title") for each in drawings[:6]] == [
        *("TTFT", "ITL", "tokens", "requests finished", "requests", "KV cache in use")
    ]
    for each in drawings:
        assert each.get("role") == "img"
        names = (each.get("aria-labelledby") or "").split()
        assert [found.get("id") for found in each.iter() if found.get("id")] == names
    assert drawings[0].findtext("desc") == "p50: 90 ms to 17.8 s, now 17.8 s; p95: 220 ms to 38.2 s, now 38.2 s"
    lines = [each for each in drawings[0].iter("path") if (each.get("class") or "").startswith("line")]
    assert [(each.get("d") or "").count("M") for each in lines] == [2, 2]
    moments = [each.findtext("title") for each in drawings[0].iter("path") if each.get("class") == "moment"]
    assert moments == [
        *("14:19:11 mark: rolled out prompt v2.", "14:21:50 xid: GPU 1: XID 63."),
        "14:21:50 Model overloading (http://127.0.0.1:8000) begins.",
    ]


def test_many_gpus_are_keyed_briefly() -> None:
    """Eight lines have a key of numbers, and above them stands which is lowest and which highest now."""
    snapshot = canned.healthy()
    gpus = (*snapshot.gpus[:7], replace(snapshot.gpus[7], tracks=canned.gpu_tracks(7, hot=True)))
    page = tree(render(replace(snapshot, gpus=gpus), "html").decode())
    captions: dict[str | None, list[str]] = {}
    for each in page.iter("figcaption"):
        captions[each.findtext("b")] = ["".join(span.itertext()) for span in each.iter("span")]
    assert captions["GPU SM clock"] == ["1155 MHz (GPU 7) to 1980 MHz (GPU 6)", *"01234567"]


@pytest.mark.parametrize("text", NASTY)
def test_text_from_outside_stays_text(text: str) -> None:
    """Wherever a text comes from outside, the page has the elements that it has with a calm one."""
    hostile, calm = (read(render(infected(canned.overloaded(), each), "html").decode()).seen for each in (text, "calm"))
    assert hostile == calm


TEXTS = st.one_of(st.text(max_size=30), st.sampled_from(NASTY))


@given(TEXTS, TEXTS, st.sampled_from([None, *Severity]), st.booleans(), st.booleans())
def test_any_text_is_shown_as_it_is(
    first: str, second: str, severity: Severity | None, prose: bool, tiles: bool
) -> None:
    """Whatever stands in blocks is what a browser shows, and the page is XML too."""
    table = Table((Column(first, right=True), Column(second)), ((second, first),), prose, tiles)
    blocks: list[Block] = [Heading(1, first), Paragraph(second, True, severity), Bullets((first, second)), table]
    page = hypertext(blocks)
    tree(page)
    shown = [one_line(each) for each in read(page).texts if each.strip()]
    expected = [first, first, second, first, second, first, second, *second.split("\n"), *first.split("\n")]
    kept = [one_line(each).replace("\ufffe", "\ufffd").replace("\uffff", "\ufffd") for each in expected]
    assert shown == [each for each in kept if each]


def hour(servers: int = 1) -> Snapshot:
    """As much as an hour with eight GPUs can hold: every point of every graph of its own, three digits each."""
    random = Random(1)

    def noisy(track: Track) -> Track:
        top = max((value for value in track.values if value is not None), default=1.0)
        return Track(track.unit, track.end, 20.0, tuple(top * random.random() for _ in range(180)))

    base = canned.overloaded()
    healthy = canned.healthy()
    gpus = tuple(replace(gpu, tracks={name: noisy(each) for name, each in gpu.tracks.items()}) for gpu in healthy.gpus)
    targets = tuple(
        replace(
            base.targets[0],
            id=f"http://10.0.0.{i}:8000",
            url=f"http://10.0.0.{i}:8000",
            tracks={name: noisy(each) for name, each in base.targets[0].tracks.items()},
        )
        for i in range(servers)
    )
    return replace(base, targets=targets, gpus=gpus, risks=base.risks * 9)


def test_an_hour_with_eight_gpus_fits_into_a_mail() -> None:
    """One server, eight GPUs, 45 risks and noise in every graph: at most 200 kB; with twenty servers at most 400 kB."""
    assert len(render(hour(), "html")) <= 200_000
    assert len(render(hour(20), "html")) <= 400_000


def test_a_chart_of_nothing_is_no_drawing() -> None:
    """A graph in which nothing was seen says so in its caption and draws nothing."""
    page = hypertext([Chart("TTFT", "s", (Line("p50", Track("s", 100.0, 1.0, (None, None))),))])
    read(page)
    assert "<svg" not in page
