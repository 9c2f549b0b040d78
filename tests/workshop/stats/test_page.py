"""The page of what was counted: it needs nobody, and no name in it is anything but text."""

import re
from html.parser import HTMLParser
from xml.etree import ElementTree

import pytest

from tests.workshop.stats import sample
from wasmguard.workshop.stats.page import page

DOCUMENTS = [sample.document(), sample.empty(), sample.document(conditions={"tool": sample.EVIL})]


class Reader(HTMLParser):
    def __init__(self):
        super().__init__()
        self.tags, self.attributes, self.text = [], [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data):
        self.text.append(data)


def read(document, shadows=None):
    reader = Reader()
    reader.feed(page(document, shadows))
    return reader


@pytest.mark.parametrize("document", DOCUMENTS)
def test_the_page_needs_no_script_and_nothing_from_elsewhere(document):
    text = page(document, sample.shadows())
    assert "default-src 'none'" in text
    reader = read(document)
    assert not {"script", "img", "link", "iframe", "object"} & set(reader.tags)
    assert not [name for name, _ in reader.attributes if name.startswith("on") or name in ("src", "href")]
    assert not re.search(r"https?://|url\(|@import", text)


@pytest.mark.parametrize("document", DOCUMENTS)
def test_names_are_text(document):
    text = page(document, sample.shadows(policy=sample.EVIL, of=sample.EVIL))
    assert "<script" not in text
    assert "\x1b" not in text
    assert "\u202e" not in text


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_element_is_closed(document):
    body = page(document, sample.shadows()).partition("<body>")[2].partition("</body>")[0]
    ElementTree.fromstring(body.replace("&nbsp;", " "))


def test_what_a_plot_shows_stands_in_words_too():
    reader = read(sample.document(), sample.shadows())
    said = " ".join(reader.text)
    for word in (
        "Per day",
        "Time per decision",
        "Tools",
        "Policies",
        "Reasons",
        "Shadows",
        "p50",
        "700\u202f000",
        "2026-11-22",
    ):
        assert word in said, word
    assert reader.tags.count("svg") >= 3
    assert reader.tags.count("table") >= 5


def test_sections_without_figures_are_left_out():
    reader = read(sample.empty())
    assert "svg" not in reader.tags
    assert "No decisions." in reader.text
