"""C++: which compiler builds a project, what is said where none can, and what a policy on the kit can rely on."""

import pytest

from tests.workshop.languages.core_kits import SOURCES, built
from tests.workshop.languages.test_c import (
    NEVER,
    event,
    guest,
    is_cheap,
    never_answered,
    project,
    says_all,
    sent,
)
from wasmguard.decision import Effect
from wasmguard.guest.codec import decode_answer
from wasmguard.sandbox.scan import check_abi, scan
from wasmguard.workshop.languages import cpp
from wasmguard.workshop.languages.language import ToolMissing

SAYS_ALL = """
#include "wasmguard.hpp"

using namespace wasmguard;

static const std::vector<std::string_view> none = {"none"};

answer policy(const request& request) {
  answer said = ask(join({request.tool_name, " in ", request.cwd}));
  if (request.setting_integer("level") < -4) said = deny("level");
  said.interrupt = request.setting_bool("stop");
  said.context = request.setting_text("word", "unset");
  for (auto word : request.setting_texts("words", none)) said.note(std::string(word));
  said.rewrite("file_path", normal(request.input_text("file_path").value()));
  said.rewrite("mode", "first").rewrite("mode", "last").rewrite("lines", std::vector<int>{1, 2});
  said.rewrite_output("gone").remember(std::string(request.state.value_or("new")));
  return said;
}
"""

LOOKS_INTO_VALUES = """
#include "wasmguard.hpp"

using namespace wasmguard;

answer policy(const request& request) {
  answer said = pass();
  value native = request.event["native"];
  for (value item : native["list"].items()) said.note(std::to_string(item.integer()));
  said.note(std::string(native["deep"]["deeper"].text()));
  bool so = native["half"].real() == 0.5 && native["yes"].truth() && !native["nil"] && !native["none"];
  said.note(so ? "so" : "not so");
  if (request.event["throws"].exists()) said.note(std::string().substr(5));
  if (request.event["catches"].exists()) {
    try {
      throw 1;
    } catch (...) {
      return pass();
    }
  }
  return said;
}
"""
NATIVE = {"list": [1, -2, 2**40], "deep": {"deeper": "é"}, "half": 0.5, "yes": True, "nil": None}


def test_without_libcpp_it_says_what_installs_it(tmp_path, monkeypatch):
    monkeypatch.setattr(cpp, "clang", lambda name: str(tmp_path / "bin" / name))
    with pytest.raises(ToolMissing, match=r"libc\+\+ for wasm is missing beside `clang-22`: `apt-get install"):
        cpp.compile(tmp_path, tmp_path)
    monkeypatch.setattr(cpp, "clang", lambda name: None)
    with pytest.raises(ToolMissing, match=r"`clang-22` with .* is missing: `apt-get install .*libmsgpack-cxx-dev`"):
        cpp.compile(tmp_path, tmp_path)


@pytest.mark.rebuild
def test_two_builds_in_two_folders_are_the_same_and_import_nothing(tmp_path):
    source = SOURCES / "languages" / "cpp"
    one, other = (built(cpp.LANGUAGE, source, tmp_path / folder) for folder in ("one", "an other"))
    assert one == other
    assert not any(part in one for part in (str(tmp_path).encode(), b"/usr/", b"/home/", b"/opt/"))
    shape = scan(one)
    check_abi(shape)
    assert shape.imports == ()


@pytest.mark.rebuild
def test_a_policy_can_ask_and_say_all_there_is_and_malformed_requests_are_never_answered(tmp_path):
    asked = guest(built(cpp.LANGUAGE, project(tmp_path / "p", cpp.LANGUAGE, SAYS_ALL), tmp_path / "work"))
    says_all(asked)
    is_cheap(asked)
    for data in never_answered():
        with pytest.raises(Exception, match=NEVER):
            asked.evaluate(data)


@pytest.mark.rebuild
def test_a_policy_can_look_into_any_value_and_what_would_throw_traps(tmp_path):
    asked = guest(built(cpp.LANGUAGE, project(tmp_path / "p", cpp.LANGUAGE, LOOKS_INTO_VALUES), tmp_path / "work"))
    answer = decode_answer(asked.evaluate(sent(event=event(native=NATIVE)))[0])
    assert answer.effect is Effect.PASS
    assert answer.notes == ("1", "-2", str(2**40), "é", "so")
    for field in ("throws", "catches"):
        with pytest.raises(Exception, match=NEVER):
            asked.evaluate(sent(event=event(native=NATIVE, **{field: 1})))
    for other in ({**NATIVE, "list": "x"}, {**NATIVE, "list": ["x"]}, {**NATIVE, "deep": []}, {**NATIVE, "deep": {}}):
        with pytest.raises(Exception, match=NEVER):
            asked.evaluate(sent(event=event(native=other)))


@pytest.mark.rebuild
def test_two_files_may_include_the_kit(tmp_path):
    whole = project(tmp_path / "p", cpp.LANGUAGE, SAYS_ALL)
    (whole / "src/more.cpp").write_text(
        '#include "wasmguard.hpp"\nbool more() { return wasmguard::is_below("/a/b", "/a"); }\n'
    )
    shape = scan(built(cpp.LANGUAGE, whole, tmp_path / "work"))
    check_abi(shape)
    assert shape.imports == ()
