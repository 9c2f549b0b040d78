"""What a rewrite changed: every changed field, and no more lines than a person reads."""

from wasmguard.workshop.explain_diff import MOST, difference, unified


def test_each_changed_field_is_told_with_what_went_and_what_came():
    before = {"file_path": "/etc/x", "content": "same"}
    assert list(difference(before, before | {"file_path": "/sandbox/x"}, "")) == [
        ("plain", "file_path"),
        ("old", "  - /etc/x"),
        ("new", "  + /sandbox/x"),
    ]


def test_one_value_instead_of_another_is_told_whole():
    path = "/sandbox/" + "x" * 150 + "/日本語"
    found = list(difference({"file_path": "/etc/x"}, {"file_path": path}, " " * 16))
    assert "".join(text.strip() for style, text in found if style == "new") == f"+ {path}"
    assert len(found) > 4


def test_long_texts_are_told_by_the_lines_that_changed():
    old = "\n".join(f"line {i}" for i in range(100))
    found = unified(old, old.replace("line 50", "line fifty"))
    assert [line for line in found if line[0] in "+-"] == ["-line 50", "+line fifty"]
    assert len(found) < 10


def test_a_difference_without_end_is_cut_and_says_so():
    found = list(difference({"a": "x\n" * 500}, {"a": "\n".join(map(str, range(500)))}))
    assert len(found) <= MOST + 2
    assert "lines more" in found[-1][1]


def test_texts_that_would_take_minutes_to_compare_are_only_counted():
    found = unified("a\nb\n" * 40_000, "b\na\n" * 40_000)
    assert found == ["- 80,001 lines", "+ 80,001 lines"]


def test_a_field_that_came_or_went_and_one_that_is_no_text_are_told():
    assert list(difference({"a": 1}, {"a": {"b": [2]}, "c": "new"}, ""))[1] == ("old", "  - 1")
    assert ("new", "  + new") in list(difference({}, {"c": "new"}, ""))


def test_no_line_is_wider_than_a_terminal_or_steers_it():
    found = list(difference({"a\x1b" * 90: "\x1b[2J" * 90}, {"a\x1b" * 90: "x"}))
    assert all(len(text) <= 80 and text.isprintable() for _, text in found)
