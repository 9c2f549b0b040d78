"""The report needs nobody, says everything, believes no name, and looks right in a browser."""

import json
import re
import xml.etree.ElementTree as ET
from html.parser import HTMLParser

import pytest

from tests.workshop.bench import made, screen
from wasmguard.workshop.bench.page import page

VOID = {"meta"}
HEADS = ["Time per decision", "Time and the size of an event", "Fuel, memory and size", "Where the time goes",
         "Ways to a decision", "Beside others", "Against the baseline", "Two versions", "Crafted inputs"]  # fmt: skip


class Read(HTMLParser):
    """A page as its elements and texts; it fails on what is not closed."""

    def __init__(self, markup):
        super().__init__()
        self.open, self.elements, self.words = [], [], []
        self.feed(markup)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if not {"style"} & set(self.open):
            self.words.append(data)

    def named(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]

    @property
    def text(self):
        return " ".join("".join(self.words).split())


def sections(markup):
    return re.findall(r"<h2>(.*?)</h2>", markup)


@pytest.mark.parametrize("name", made.ALL)
def test_every_run_becomes_a_page_whose_elements_are_closed(name):
    markup = page(made.ALL[name]())
    Read(markup)
    for image in re.findall(r'<svg role="img".*?</figure>|<svg[^>]*role="img".*?</svg></(?:figure|div)>', markup, re.S):
        ET.fromstring(image.rpartition("</svg>")[0] + "</svg>")
    assert not re.search(r"\b(nan|inf)\b", markup)
    assert "None" not in markup


def test_sections_come_in_order():
    assert sections(page(made.sample())) == HEADS


def test_sections_without_figures_are_left_out():
    assert sections(page(made.nothing())) == []
    assert sections(page(made.only_peers())) == ["Beside others"]
    assert sections(page(made.one())) == [*HEADS[:4]]


def test_nothing_is_fetched_and_nothing_runs():
    read = Read(page(made.sample()))
    assert {tag for tag, _ in read.elements}.isdisjoint({"script", "link", "img", "iframe", "object", "base", "a"})
    names = {name for _, attributes in read.elements for name in attributes}
    assert not [name for name in names if name.startswith("on") or name in ("src", "href", "xlink:href", "style")]
    assert any("default-src 'none'" in attributes.get("content", "") for attributes in read.named("meta"))
    urls = re.findall(r"url\(([^)]*)\)|@import|https?://", page(made.sample()))
    assert all(url.startswith("#") for url in urls)


@pytest.mark.parametrize(
    "evil", ["<script>alert(1)</script>", '"><svg onload=alert(1)>', "</style><b>", "' onfocus='x"]
)
def test_every_name_is_text(evil):
    document = made.sample()
    plain, odd = (Read(page(spoiled(document, suffix))) for suffix in ("x" * len(evil), evil))
    assert [tag for tag, _ in odd.elements] == [tag for tag, _ in plain.elements]
    assert [set(attributes) for _, attributes in odd.elements] == [set(attributes) for _, attributes in plain.elements]
    assert evil in odd.text


def spoiled(value, suffix):
    """Every text in a document with *suffix*, but for those by which the page decides."""
    if isinstance(value, dict):
        return {key: inner if key in KEPT else spoiled(inner, suffix) for key, inner in value.items()}
    if isinstance(value, list):
        return [spoiled(inner, suffix) for inner in value]
    return value + suffix if isinstance(value, str) and value else value


KEPT = {"kind", "path", "floor", "id", "verdict", "began"}  # words of ours


def test_characters_that_steer_readers_do_not_reach_the_page():
    document = made.renamed(made.sample(), lambda name: name + "\u202e\x00\x1b\ud800")
    assert not set("\u202e\x00\x1b\ud800") & set(page(document))
    page(document).encode()


def test_the_command_the_machine_and_its_warnings_are_said_first():
    document = made.sample()
    text = Read(page(document)).text
    start = text[: text.index("A call costs")]
    machine = document["machine"]
    for said in (document["command"], machine["processor"], machine["kernel"], "powersave", *machine["warnings"]):
        assert said in start.replace("\N{NO-BREAK SPACE}", " ")


def test_the_answer_is_one_sentence_with_its_interval():
    text = Read(page(made.sample())).text.replace("\N{NO-BREAK SPACE}", " ")
    assert "A call costs 239 us at the median (95 %: 239 to 246 us), the chain of 3 policies, path cell." in text
    assert "A call costs" not in Read(page(made.nothing())).text
    assert "only others were" in Read(page(made.only_peers())).text


def test_a_run_that_was_stopped_says_so():
    assert "stopped before the end" in Read(page(made.nothing())).text
    assert "stopped before the end" not in Read(page(made.sample())).text


def test_images_have_a_title_and_a_description():
    read = Read(page(made.sample()))
    images = [attributes for attributes in read.named("svg") if attributes.get("role") == "img"]
    ids = [attributes["id"] for _, attributes in read.elements if "id" in attributes]
    assert len(images) == 6
    assert len(ids) == len(set(ids))
    for image in images:
        assert set(image["aria-labelledby"].split()) <= set(ids)


def test_tables_say_what_their_cells_are():
    read = Read(page(made.sample()))
    heads = read.named("th")
    assert len(read.named("caption")) == len(read.named("table")) >= 10
    assert {attributes["scope"] for attributes in heads} == {"row", "col"}
    assert read.named("html")[0]["lang"] == "en"
    assert any(attributes.get("name") == "viewport" for attributes in read.named("meta"))


def test_a_percentile_of_too_few_decisions_is_a_dash():
    document = made.one()
    row = next(row for row in document["rows"] if row["kind"] == "policy")
    row |= {"n": 600, "p999": 987654.0}
    assert "988 ms" not in page(document)
    row["n"] = 1_000
    assert "988 ms" in page(document)


def test_what_failed_is_said_in_words_too():
    text = Read(page(made.sample())).text
    for said in ("✗ Not held", "▲ slower", "also when measured again", "looser than `deny` on the plain input", "✗ no"):
        assert said in text


def test_our_policies_do_not_stand_beside_others_that_decide_what_ours_does_there():
    document = made.sample()
    assert "wasmguard, cell: chain" in page(document)
    next(row for row in document["rows"] if row["kind"] == "peer").update(subject="wasmguard, cell", kind="ours")
    assert "wasmguard, cell: chain" not in page(document).partition("Beside others")[2]


def test_crafted_inputs_that_were_not_stood_come_first():
    text = page(made.sample())
    assert text.index("1 MB in quotes") < text.index("a Write of 5 MB") < text.index("deep nesting")


def test_what_comes_from_json_gives_the_same_page():
    assert page(json.loads(json.dumps(made.sample()))) == page(made.sample())


@pytest.mark.e2e
def test_it_is_dark_in_the_dark_and_light_in_the_light(tmp_path):
    screen.needs_chromium()
    for scheme in screen.SCHEMES:
        rows = screen.shot(page(made.sample()), scheme, tmp_path, 800, 400)
        some = [row[x : x + 3] for row in rows[::4] for x in range(0, len(row), 12)]
        ground = sum(max(pixel) for pixel in some) / len(some)
        assert len(set(some)) > 20, "blank"
        assert ground < 60 if scheme == "dark" else ground > 215
        assert len({row[x : x + 3] for row in rows for x in (0, 30, len(row) - 30, len(row) - 3)}) == 1, "no margins"


@pytest.mark.e2e
def test_no_label_is_cut_off_or_under_another_and_nothing_is_wider_than_the_window(tmp_path):
    screen.needs_chromium()
    pages = {(name, width): page(make()) for name, make in made.ALL.items() for width in (360, 900)}
    found = screen.measured(pages, tmp_path)
    assert {key: told["flaws"] for key, told in found.items() if told["flaws"]} == {}
    assert all(told["labels"] > 10 for (name, _), told in found.items() if name != "nothing")
