"""What is shown of a change."""

from wasmguard.workshop.outcome import LONGEST, WIDTH, changes, said
from wasmguard.workshop.settings_file import SettingsFile


def shown(before, after):
    data = None if before is None else before.encode()
    return list(changes(SettingsFile("/s.json", "/s.json", data), after))


def test_a_change_is_a_diff_in_styles():
    assert shown("a\nb\n", "a\nc\n") == [
        ("title", "--- /s.json"),
        ("title", "+++ /s.json"),
        ("plain", "@@ -1,2 +1,2 @@"),
        ("plain", " a"),
        ("old", "-b"),
        ("new", "+c"),
    ]


def test_a_new_file_comes_from_nothing_and_a_removed_one_goes_there():
    assert shown(None, "a\n")[0] == ("title", "--- /dev/null")
    assert shown("a\n", None)[1] == ("title", "+++ /dev/null")


def test_the_token_is_not_shown():
    ((_, line),) = [
        row for row in shown("", '"Authorization": "Bearer abcdefghijklmnopqrstuvwxyz-_0123"') if row[0] == "new"
    ]
    assert "Bearer …" in line
    assert "abc" not in line


def test_what_steers_a_terminal_is_not_shown():
    assert "\x1b" not in str([text for _, text in shown("", "\x1b[2J\x9b\u202e")])
    assert max(len(text) for _, text in shown("", "x" * 10_000)) <= LONGEST


def test_what_was_shown_already_is_not_shown_again():
    block = "".join(f"line {number}\n" for number in range(10))
    lines = [text for _, text in shown("", f"first\n{block}second\n{block}third\n")]
    assert lines[-3:] == ["+second", "+ ... (10 lines as above)", "+third"]


def test_sentences_fit_and_words_stay_whole():
    style, text = said("note", f"word {'x' * 100} " + "word " * 30, "head: ")
    assert style == "note"
    assert f"      {'x' * 100}\n" in text
    assert all(len(line) <= WIDTH for line in text.splitlines() if "xxx" not in line)
