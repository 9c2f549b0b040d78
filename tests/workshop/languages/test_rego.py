"""Rego: what `opa` compiles decides as OPA itself does, and what would be missing in it is refused at once."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from wasmguard.decision import Effect
from wasmguard.errors import BuildError, ModuleRefused
from wasmguard.event import Event
from wasmguard.guest.codec import decode_answer, encode_event, encode_settings, request
from wasmguard.guest.opa import ANSWER, DENY, answer, as_input
from wasmguard.workshop import kits
from wasmguard.workshop.cases import read_cases, sent_settings
from wasmguard.workshop.exam import examined
from wasmguard.workshop.languages import language, rego
from wasmguard.workshop.scaffold import FAILING, new
from wasmguard.workshop.subject import Subject
from wasmguard.workshop.trial import tried

ROOT = Path(__file__).parents[3]
GUARD = ROOT / "policies-src" / "languages" / "rego"
SHIPPED = ROOT / "build" / "languages" / "rego"
OPA = shutil.which("opa", path=f"{language.toolchains() / 'bin'}:/usr/local/bin:/usr/bin")
rebuild = [pytest.mark.rebuild, pytest.mark.skipif(OPA is None, reason="`opa` is not installed")]
MANIFEST = (
    'abi = "opa"\nname = "it"\nversion = "1"\nsummary = "s"\nevents = ["PreToolUse"]\n[asks]\nstate = { max = 99 }\n'
)


@pytest.fixture(autouse=True, scope="module")
def own_cache(tmp_path_factory):
    """What is compiled here is compiled once, and nothing of it stays."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        yield


def project(folder, text, **files):
    """A project whose policy is *text*, with files beside it."""
    for name, content in {"src/policy.rego": text, **files}.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return folder


def compiled(folder, work):
    work.mkdir()
    return rego.compile(folder, work)


def evaluated(folder, entrypoint, given):
    """What OPA's own interpreter says about the input *given*: a result as a module gives it."""
    command = [
        OPA,
        "eval",
        "--data",
        "src",
        "--stdin-input",
        "--format",
        "json",
        f"data.{entrypoint.replace('/', '.')}",
    ]
    if (folder / "kit").exists():
        command[2:2] = ["--data", "kit"]
    done = subprocess.run(command, cwd=folder, input=given, capture_output=True, check=True, timeout=60)
    found = json.loads(done.stdout).get("result", [])
    return json.dumps([{"result": one["expressions"][0]["value"]} for one in found]).encode()


def asked(fields, settings=None, state=None):
    name = fields.get("hook_event_name", "PreToolUse")
    event = Event(name=name, agent="claude", fields=fields, time=0)
    return request(encode_event(event), encode_settings(settings or {}), state)


# --- what needs no compiler


def test_the_guard_that_comes_with_its_sources_is_as_good_as_its_cases():
    report = examined(Subject(reference=str(SHIPPED), shown="branch-guard", cases=str(GUARD / "cases")))
    assert report.ok(strict=True), report
    assert len(report.cases) > 20


def test_a_module_that_is_not_what_its_digest_says_is_another(tmp_path):
    digest = (SHIPPED / "sha256").read_text().strip()
    with tried(str(SHIPPED)) as trial:
        assert trial.bundle.sha256 == digest


@pytest.mark.parametrize(
    ("text", "entrypoint"),
    [
        ("answer := {}", ANSWER),
        ("default answer := {}", ANSWER),
        ("deny contains 1 if true", DENY),
        ("deny contains 1\nanswer := {}", ANSWER),
        ("# answer\ndenyx := 1\n deny := 1\ndeny contains 1", DENY),
    ],
)
def test_the_entrypoint_is_the_one_that_the_source_defines(tmp_path, text, entrypoint):
    assert rego._entrypoint(project(tmp_path, text)) == entrypoint


def test_a_source_without_an_entrypoint_is_refused(tmp_path):
    with pytest.raises(BuildError, match="defines neither `answer` nor `deny`"):
        rego._entrypoint(project(tmp_path, "package wasmguard\nallow := true\n"))
    (tmp_path / "src/policy.rego").write_bytes(b"\xff")
    with pytest.raises(BuildError, match="is not UTF-8 at byte 0"):
        rego._entrypoint(tmp_path)


def test_without_opa_it_is_said_what_installs_it(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("WASMGUARD_TOOLCHAINS", str(tmp_path))
    with pytest.raises(BuildError, match="`opa` is missing: install it: `brew install opa`"):
        compiled(project(tmp_path / "p", "answer := {}"), tmp_path / "work")


def test_an_archive_without_a_module_is_refused(tmp_path):
    (tmp_path / "x.tar.gz").write_bytes(b"no archive")
    for name in ("x.tar.gz", "missing.tar.gz"):
        with pytest.raises(BuildError, match="made no module"):
            rego._module(tmp_path / name)


# --- what opa makes


class TestCompiled:
    """Everything that `opa` has to be there for."""

    pytestmark = rebuild

    def test_the_guard_is_built_to_the_same_bytes_wherever_it_lies(self, tmp_path):
        shutil.copytree(GUARD, tmp_path / "elsewhere")
        one, other = compiled(GUARD, tmp_path / "one"), compiled(tmp_path / "elsewhere", tmp_path / "other")
        assert one.read_bytes() == other.read_bytes()
        assert str(ROOT).encode() not in one.read_bytes()
        assert str(tmp_path).encode() not in one.read_bytes()

    def test_the_guard_decides_every_case_as_opa_itself_does(self):
        with tried(str(SHIPPED)) as trial:
            for case in read_cases(str(GUARD / "cases")):
                settings, _ = sent_settings(case, trial.manifest)
                data = trial.request(case.event, settings)
                assert trial.ask(data).answer == decode_answer(answer(evaluated(GUARD, ANSWER, as_input(data)), ANSWER))

    def test_the_template_has_one_case_to_make_green(self, tmp_path):
        made = new("no-etc", rego.LANGUAGE, tmp_path)
        assert self.failing(made, tmp_path / "first") == [FAILING]
        source = made / rego.MARK
        assert source.read_text().count("target := file\n") == 1
        source.write_text(source.read_text().replace("target := file\n", "target := path.normal(file)\n"))
        assert self.failing(made, tmp_path / "second") == []

    @staticmethod
    def failing(made, work):
        into = bundle(made, work)
        report = examined(Subject(reference=str(into), shown="it", cases=str(made / "cases")))
        assert all(one.ok for one in report.properties), report.properties
        return [one.case.name for one in report.cases if not one.ok]

    def test_a_path_is_resolved_as_in_every_kit(self, tmp_path):
        text = 'package wasmguard\nimport data.kit.path\nanswer := {"reason": path.normal(input.event.tool_name)}'
        shutil.copytree(kits.kits_dir() / "sdk/rego", tmp_path / "p/kit")
        into = bundle(project(tmp_path / "p", text, **{"manifest.toml": MANIFEST}), tmp_path / "work")
        paths = {
            "/": "/",
            "//a/./b/": "/a/b",
            "/a/../b": "/b",
            "/../../a": "/a",
            "/a/b/../../../c/..": "/",
            "/a/..b": "/a/..b",
        }
        paths |= {"/a/b/c/../../d/../e": "/a/e", "/\u00fc/../\U0001f600": "/\U0001f600", "/a\x00b/..": "/"}
        with tried(str(into)) as trial:
            for path, normal in paths.items():
                assert trial.ask(asked({"tool_name": path})).answer.reason == normal
            assert "undefined" in trial.ask(asked({"tool_name": "a/b"})).fault

    def test_reasons_in_a_set_are_a_deny(self, tmp_path):
        text = "package wasmguard\ndeny contains word if some word in input.event.words"
        into = bundle(project(tmp_path / "p", text, **{"manifest.toml": MANIFEST}), tmp_path / "work")
        with tried(str(into)) as trial:
            said = trial.ask(asked({"words": ["z", "a", "\u00fc"]})).answer
            assert (said.effect, said.reason) == (Effect.DENY, "a; z; \u00fc")
            assert trial.ask(asked({"words": []})).answer.effect is Effect.PASS
            assert "must be a set of texts" in trial.ask(asked({"words": [1]})).fault

    def test_what_it_says_and_remembers_is_what_opa_says(self, tmp_path):
        text = """package wasmguard
answer := {
	"effect": "ask", "reason": input.event.text, "rewrite": {"it": input.event.it, "was": input.state},
	"state": json.marshal(input.settings), "notes": [input.event.text], "context": input.event.text,
}"""
        folder = project(tmp_path / "p", text, **{"manifest.toml": MANIFEST})
        into = bundle(folder, tmp_path / "work")
        texts = ["", "\u00fc \U0001f600 \u2028 \x7f", 'a "b" \\ / \n\t\x00\x1f', "\ufeff</script>"]
        values = [None, True, 0, -1, 2**53, 1.5, -0.25, 1e300, [], {}, [[{"a": [1]}]], {"\u00fc": "\x00", "": []}]
        with tried(str(into)) as trial:
            for text, it in [*((text, text) for text in texts), *(("x", value) for value in values)]:
                data = asked({"text": text, "it": it}, {"a": 1}, "was \u00fc".encode())
                wanted = decode_answer(answer(evaluated(folder, ANSWER, as_input(data)), ANSWER))
                assert trial.ask(data).answer == wanted
                assert wanted.rewrite == {"it": it, "was": "was \u00fc"}
                assert json.loads(wanted.state) == {"a": 1}

    def test_rules_that_contradict_each_other_are_a_fault_that_names_their_line(self, tmp_path):
        text = 'package wasmguard\nanswer := {"effect": "pass"}\nanswer := {"effect": "deny"} if input.event.no\n'
        into = bundle(project(tmp_path / "p", text, **{"manifest.toml": MANIFEST}), tmp_path / "work")
        with tried(str(into)) as trial:
            assert trial.ask(asked({})).answer.effect is Effect.PASS
            assert '"src/policy.rego:3:1: var assignment conflict"' in trial.ask(asked({"no": True})).fault

    def test_what_cannot_be_evaluated_is_quiet_as_its_page_says(self, tmp_path):
        text = """package wasmguard
deny contains concat("", ["url ", input.event.url]) if input.event.no
deny contains "number" if to_number(input.event.x) > 3
deny contains "not" if not to_number(input.event.x) < 3
small if to_number(input.event.x) < 3
deny contains "own rule" if not small
deny contains concat("", ["get ", object.get(input.event, "url", "?")]) if input.event.no
deny contains "pattern" if regex.match(input.event.p, input.event.x)
"""
        into = bundle(project(tmp_path / "p", text, **{"manifest.toml": MANIFEST}), tmp_path / "work")
        with tried(str(into)) as trial:
            for fields, reason in (
                ({"x": "7", "no": True, "url": "u", "p": "7"}, "get u; not; number; own rule; pattern; url u"),
                ({"x": "y", "no": True, "p": "["}, "get ?; own rule"),
                ({"x": "y", "p": "y\0z"}, "own rule; pattern"),
            ):
                assert trial.ask(asked(fields)).answer.reason == reason

    def test_functions_that_are_not_compiled_in_are_refused_by_name(self, tmp_path):
        text = 'package wasmguard\nanswer := {"reason": sprintf("%d", [time.now_ns()])}'
        into = bundle(project(tmp_path / "p", text, **{"manifest.toml": MANIFEST}), tmp_path / "work")
        with pytest.raises(ModuleRefused, match=r"calls `sprintf`, `time\.now_ns`, which `opa build"), tried(str(into)):
            pass

    def test_what_opa_does_not_take_is_said_in_its_words(self, tmp_path):
        with pytest.raises(BuildError) as caught:
            compiled(project(tmp_path / "p", "package wasmguard\nanswer := {\n"), tmp_path / "work")
        assert "src/policy.rego:3: rego_parse_error" in caught.value.said

    def test_tests_are_left_out_and_data_files_are_refused(self, tmp_path):
        text = 'package wasmguard\nanswer := {"effect": "pass"}'
        folder = project(tmp_path / "p", text, **{"src/policy_test.rego": "no rego at all"})
        assert compiled(folder, tmp_path / "work").stat().st_size > 50_000
        project(folder, text, **{"src/data.json": "{}"})
        with pytest.raises(BuildError, match=r"`src/data\.json` would not be compiled in"):
            compiled(folder, tmp_path / "again")

    def test_an_event_of_300_kilobytes_is_answered_and_one_too_many_is_a_fault(self):
        with tried(str(SHIPPED)) as trial:
            large = {"hook_event_name": "PreToolUse", "tool_name": "Bash", "tool_input": {"content": "a\n" * 150_000}}
            assert trial.ask(trial.request(large, trial.settings)).answer.effect is Effect.PASS
            large["tool_input"]["content"] *= 10
            assert "out of fuel" in trial.ask(trial.request(large, trial.settings)).fault


def bundle(folder, work):
    """The bundle of a project."""
    module = compiled(folder, work).read_bytes()
    (work / "policy.wasm").write_bytes(module)
    shutil.copyfile(folder / "manifest.toml", work / "manifest.toml")
    return work
