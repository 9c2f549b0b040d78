"""How a command line falls into commands and words, held against a shell where there is one."""

import shlex
import shutil
import subprocess

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from wasmguard.protection.marks import ANY, MOST, ONE, SET, alternatives, could_be, matches, plain
from wasmguard.protection.words import Command, TooDeep, read


def shown(text):
    """The commands of *text* as lists of words, with what stands for a variable after a dollar sign."""
    out = []
    for item in read(text):
        if isinstance(item, str):
            out.append(item)
        else:
            out.append([word_of(word) for word in item.words])
    return out


def word_of(word):
    return "".join(plain(part) if isinstance(part, str) else f"${part[0]}" for part in word)


def only(text):
    (command,) = read(text)
    assert isinstance(command, Command)
    return command


@pytest.mark.parametrize(
    ("text", "commands"),
    [
        ("", []),
        ("a b  c", [["a", "b", "c"]]),
        ("a;b&c&&d||e|f|&g\nh", [["a"], ["b"], ["c"], ["d"], ["e"], ["f"], ["g"], ["h"]]),
        ("(a; b) c", ["(", ["a"], ["b"], ")", ["c"]]),
        ("a | (b)", [["a"], "|(", ["b"], ")"]),
        (r"""'a b'"c d"e\ f \; \'""", [["a bc de f", ";", "'"]]),
        (r'''"a\"b\\c\d\$e"''', [['a"b\\c\\d$e']]),
        ("a\\\nb c\\\n d", [["ab", "c", "d"]]),
        ("a # b; c\nd#e", [["a"], ["d#e"]]),
        (r"$'a\n\x41\101\u00e9\'b'", [["a\nAA\u00e9'b"]]),
        ("$a ${b} $1 $? $ a$", [["$a", "$b", "$1", "$?", "$", "a$"]]),
        ("\"\" ''", [["", ""]]),
        ("case x in a) b;; esac", [["case", "x", "in", "a"], ["b"], ["esac"]]),
        ("'unclosed; a", [["unclosed; a"]]),
    ],
)
def test_commands_and_words(text, commands):
    assert shown(text) == commands


@pytest.mark.parametrize(
    ("text", "redirects"),
    [
        ("a > b", [(">", "b")]),
        (
            "a >b >>c 2>d 2>>e &>f &>>g >|h <>i <j",
            [*zip((">", ">>", ">", ">>", "&>", "&>>", ">|", "<>", "<"), "bcdefghij", strict=True)],
        ),
        ("> a b", [(">", "a")]),
        ("a 2>&1", [(">&", "1")]),
        ("a 12b>c", [(">", "c")]),
    ],
)
def test_redirections_are_no_words(text, redirects):
    assert [(operator, word_of(word)) for operator, word in only(text).redirects] == redirects


def test_a_number_before_a_redirection_is_no_word_and_another_one_is():
    assert shown("a 2>b 3 $c<d") == [["a", "3", "$c"]]


def test_here_documents_belong_to_their_command():
    first, second = read("a <<X <<-'Y' b; c\n1\nX\n\t2 $(d)\n\tY\n")
    assert [word_of(document) for document in first.documents] == ["1", "\t2 $(d)"]
    assert shown("a <<X\nb\nX\nc") == [["a"], ["c"]]
    assert [word_of(word) for word in first.words] == ["a", "b"]
    assert first.nested == []
    assert len(only("a <<X\n$(b) `c`\nX\n").nested) == 2
    assert word_of(only("a <<< 'b c'").documents[0]) == "b c"
    assert second.documents == []


def test_a_here_document_that_never_ends_is_read_as_commands_too():
    assert shown("a <<X\nb\nc") == [["a"], ["b"], ["c"]]


@pytest.mark.parametrize(
    "text", ["a $(b)", 'a "x$(b)y"', "a `b`", 'a "`b`"', "a <(b)", "a >(b)", "a ${x:-$(b)}", "a $((1+$(b)))", "a=$(b)"]
)
def test_commands_in_words_are_found(text):
    def names(items):
        for item in items:
            if isinstance(item, Command):
                for nested in item.nested:
                    yield from names(nested)
                yield from map(word_of, item.words)

    assert "b" in list(names(read(text)))


def test_nothing_in_single_quotes_is_a_command():
    assert only("a '$(b) `c` $d > e'").nested == []
    assert shown("a '$(b) `c` $d > e'") == [["a", "$(b) `c` $d > e"]]


def test_what_is_nested_too_deeply_is_said_to_be():
    for text in ("$(" * 100, '"${a:-' * 100, "<(" * 100):
        with pytest.raises(TooDeep):
            read(text)


def test_braces_are_what_the_shell_makes_of_them():
    def made(text):
        (word,) = only(text).words
        return alternatives("".join(word))

    assert made("a{b,c}d") == ["abd", "acd"]
    assert made("{a,b}{c,d}") == ["ac", "ad", "bc", "bd"]
    assert set(made("a{b,{c,d}}")) == {"ab", "ac", "ad"}
    assert made("{a}") == ["{a}"]
    assert made("a,b{") == ["a,b{"]
    assert made("'{a,b}'") == ["{a,b}"]
    assert len(made("{a,b}" * 20)) <= MOST + 1
    assert ANY in "".join(made("{a,b}" * 20))


@pytest.mark.parametrize(
    ("pattern", "name", "fits"),
    [
        ("a*c", "abbc", True),
        ("a*c", "abbd", False),
        ("*", "anything", True),
        ("*", ".hidden", False),
        (".*", ".hidden", True),
        ("?", "a", True),
        ("?", "", False),
        ("[ab]c", "bc", True),
        ("[!ab]c", "bc", False),
        ("[a-z]c", "bc", True),
        ("[", "[", True),
        ("a*b*c*d", "aXbXcXe", False),
    ],
)
def test_a_wildcard_could_be_a_name(pattern, name, fits):
    assert could_be(pattern.translate({ord("*"): ANY, ord("?"): ONE, ord("["): SET}), name or "\0") is fits or not name


@settings(max_examples=500, deadline=None)
@given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1), min_size=1, max_size=4))
def test_quoting_is_undone(words):
    assert [["x", *words]] == shown("x " + " ".join(shlex.quote(word) for word in words)) or any(
        chr(0x10FFF0) <= sign for sign in "".join(words)
    )


@settings(max_examples=300, deadline=None)
@given(st.text(st.sampled_from("ab*"), max_size=8), st.text(st.sampled_from("ab"), max_size=8))
def test_matching_is_what_a_regular_expression_says(pattern, name):
    import re

    expected = re.fullmatch(pattern.replace("*", ".*"), name) is not None
    assert matches(pattern.replace("*", ANY), name) is expected


@pytest.mark.skipif(not shutil.which("bash"), reason="no bash")
@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from([*"ab \\'\"", "c d", "\\\n", "''"]), max_size=12).map("".join))
def test_words_are_those_that_bash_makes(text):
    assume(not text.endswith("\\"))  # at the very end it sometimes stands for itself, and sometimes for nothing
    script = f"printf '<%s>' x {text}"
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=False)
    if done.returncode == 0 and not done.stderr:
        (words,) = shown(f"printf '<%s>' x {text}")
        assert "".join(f"<{word}>" for word in words[2:]) == done.stdout
