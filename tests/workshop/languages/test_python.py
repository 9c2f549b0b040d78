"""The kit for Python, and how a project becomes a component."""

import shutil

import pytest
from msgpack import packb

from tests.workshop.languages.component_kits import LONG, MALFORMED, NO_UTF8, SOURCES, Kit, as_map, deep, request, whole
from wasmguard.decision import Effect
from wasmguard.errors import BuildError, GuestFault
from wasmguard.workshop.languages.language import toolchains
from wasmguard.workshop.languages.python import LANGUAGE

# Each tool is a question to the kit. What it reads is said back as a reason.
POLICY = """
import sys

import wasmguard_guest as kit
from wasmguard_guest import allow, ask, deny, normal, pass_, policy, rewrite, within


def said(*values):
    return ask(repr(values))


def fails(r):
    raise LookupError("for a reason")


QUESTIONS = {
    "event": lambda r: said(r.event_name, r.cwd, r.event["prompt"], r.event.get("nothing")),
    "input": lambda r: said(r.tool_input),
    "settings": lambda r: said(
        r.setting_text("t"), r.setting_bool("b"), r.setting_integer("i"), r.setting_texts("l"), r.settings
    ),
    "wrong": lambda r: said(r.setting_integer("b")),
    "state": lambda r: said(r.state),
    "absent": lambda r: said(r.input_text("nothing"), r.input_text("number"), r.setting_text("t")),
    "size": lambda r: said(len(r.input_text("content"))),
    "allow": lambda r: allow("yes"),
    "rewrite": lambda r: rewrite("a", "é😀", "why").rewrite("b", [1, None]),
    "all": lambda r: deny("no").context("c").note("n").note("m").remember(b"\\x01\\x02").interrupt(),
    "output": lambda r: pass_().because("less").rewrite_output({"text": "none"}),
    "paths": lambda r: said(
        *map(normal, ("/a/../../b/./c//", "/", "a/../b")),
        within("/etc", "/etc"), within("/etcetera", "/etc"), within("/x", "/"),
    ),
    "modules": lambda r: said(sorted({"dataclasses", "inspect", "asyncio", "typing"} & set(sys.modules))),
    "nothing": lambda r: None,
    "fails": fails,
    "surrogate": lambda r: deny("\\ud800"),
    "number": lambda r: deny(7),
}


@policy
def judge(request):
    request.input_text("it")
    return QUESTIONS.get(request.tool_name, lambda r: pass_())(request)
"""

needs_tools = pytest.mark.skipif(
    shutil.which("componentize-py", path=toolchains() / "bin") is None, reason="componentize-py is missing"
)


def project(folder, source):
    (folder / "src").mkdir(parents=True)
    (folder / "src/policy.py").write_text(source, encoding="utf-8")
    shutil.copytree(SOURCES / "sdk/python", folder / "kit")
    return folder


@pytest.fixture(scope="module")
def kit(tmp_path_factory):
    here = tmp_path_factory.mktemp("python")
    (work := here / "work").mkdir()
    return Kit(LANGUAGE.compile(project(here / "project", POLICY), work))


def test_a_missing_compiler_is_named_with_the_command_that_installs_it(tmp_path, monkeypatch):
    monkeypatch.setenv("WASMGUARD_TOOLCHAINS", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BuildError, match=r"`componentize-py` is missing: .* -m pip install componentize-py==0.25.1"):
        LANGUAGE.compile(tmp_path, tmp_path)


def test_the_version_that_is_asked_for_is_that_of_the_template(tmp_path):
    wanted = "componentize-py==0.25.1\n"
    assert (SOURCES / "templates/python/requirements.txt").read_text() == wanted
    assert wanted in (SOURCES / "toolchains/requirements.txt").read_text()
    assert not LANGUAGE.reproducible


@pytest.mark.rebuild
@needs_tools
@pytest.mark.parametrize(
    ("source", "why"),
    [("x = 1\n", "there is no policy"), ("import nowhere\n", "No module named 'nowhere'")],
)
def test_what_is_wrong_with_a_policy_is_said_when_it_is_built(tmp_path, source, why):
    (work := tmp_path / "work").mkdir()
    with pytest.raises(BuildError) as raised:
        LANGUAGE.compile(project(tmp_path / "project", source), work)
    assert why in raised.value.said
    assert "Stack backtrace" not in raised.value.said
    assert 'File "kit/wasmguard_app.py", line ' in raised.value.said
    assert raised.value.said.count("Traceback") == 1


@pytest.mark.rebuild
@needs_tools
class TestKit:
    def test_an_event_is_read_as_it_was_sent(self, kit):
        assert kit.asked("event", prompt="é€😀").reason == "('PreToolUse', '/w', 'é€😀', None)"

    def test_an_input_is_read_whole(self, kit):
        given = {"a": [1, -2, 1.5, None, True, {"ü": "😀" * 90}]}
        assert kit.asked("input", given).reason == repr((given,))

    def test_settings_are_read_by_their_type(self, kit):
        settings = {"t": "x", "b": False, "i": -7, "l": ["a", "b"]}
        assert kit.asked("settings", settings=settings).reason == repr((*settings.values(), settings))
        with pytest.raises(GuestFault, match="the setting `b` is no int"):
            kit.asked("wrong", settings=settings)

    def test_what_is_not_there_is_none(self, kit):
        assert kit.asked("absent", {"number": 1}).reason == "(None, None, None)"

    def test_what_was_remembered_comes_back(self, kit):
        assert kit.asked("state").reason == "(None,)"
        assert kit.asked("state", state=b"\x00\xff").reason == repr((b"\x00\xff",))

    def test_an_answer_says_what_was_set_and_nothing_else(self, kit):
        said = kit.asked("all")
        assert (said.effect, said.reason, said.context) == (Effect.DENY, "no", "c")
        assert (said.notes, said.state, said.interrupt, said.rewrite) == (("n", "m"), b"\x01\x02", True, None)
        assert kit.asked("rewrite").rewrite == {"a": "é😀", "b": [1, None]}
        assert kit.asked("output").rewrite_output == {"text": "none"}
        assert kit.asked("allow").effect is Effect.ALLOW
        assert kit.evaluate(request("other"))[0] == b"\x81\xa6effect\xa4pass"

    def test_paths_are_resolved_as_text(self, kit):
        assert kit.asked("paths").reason == "('/b/c', '/', 'a/../b', True, False, True)"

    def test_what_is_raised_is_a_fault_with_its_message(self, kit):
        for tool, why in (("fails", "LookupError: for a reason"), ("nothing", "no Answer"), ("number", "wants str")):
            with pytest.raises(GuestFault, match=why):
                kit.asked(tool)
        with pytest.raises(GuestFault, match="surrogates not allowed"):
            kit.asked("surrogate")

    def test_the_kit_does_not_bring_what_makes_every_event_dear(self, kit):
        assert kit.asked("modules").reason == "([],)"

    @pytest.mark.parametrize("wrong", NO_UTF8, ids=repr)
    def test_a_text_that_is_no_utf8_is_never_read(self, kit, wrong):
        given = as_map(("it", packb("é" * 40 + "????")[:-4] + wrong[:4].ljust(4, b"x")))
        with pytest.raises(GuestFault, match="UnicodeDecodeError"):
            kit.evaluate(whole(as_map(("tool_input", given))))

    def test_many_fields_and_many_values_are_stepped_over_within_the_limits(self, kit):
        for given in ({f"f{n}": n for n in range(8_000)}, {"it": list(range(20_000))}, {"x" * 300: "", "é" * 20: 1}):
            answer, fuel = kit.evaluate(request("absent", given))
            assert answer == kit.evaluate(request("absent"))[0]
            assert fuel < 80_000_000

    def test_a_field_is_found_by_any_name(self, kit):
        given = {"é" * 20: 1, "x" * 300: {"y": "z"}, "": None, "語": "語"}
        assert kit.asked("input", given).reason == repr((given,))

    def test_a_long_text_costs_nothing_until_it_is_read(self, kit):
        assert kit.asked("size", {"content": LONG}).reason == repr((len(LONG),))
        small, long = (kit.evaluate(request("other", {"content": text, "deep": deep(60)}))[1] for text in ("", LONG))
        assert long - small < 2 * len(LONG.encode())  # it is copied

    def test_nothing_that_is_no_request_is_answered(self, kit):
        for wrong in MALFORMED:
            with pytest.raises(GuestFault):
                print(wrong[:60], kit.evaluate(wrong))
