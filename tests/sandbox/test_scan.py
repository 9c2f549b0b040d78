"""The load scan: every rule by a module that breaks it, and two readers that must agree.

`tests/guests` holds what can be written as text. Modules that lie about their own bytes are built here.
"""

import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
import wasmtime
from hypothesis import example, given, settings
from hypothesis import strategies as st
from wasmtime import component

from tests.sandbox.binary import (
    CODE,
    DATA,
    DATA_COUNT,
    ELEMENT,
    EXPORT,
    FUNCTION,
    GLOBAL,
    I32,
    IMPORT,
    MEMORY,
    START,
    TABLE,
    TYPE,
    composed,
    core,
    function_type,
    leb,
    name,
    section,
    vector,
)
from tests.sandbox.bombs import SLOWEST
from wasmguard.errors import ModuleRefused
from wasmguard.guest.abi import COMPONENT_HEADER, CORE_HEADER
from wasmguard.limits import DEFAULT, HARD_MAX, MIB
from wasmguard.sandbox import caps, wasi
from wasmguard.sandbox.core_module import VALUE_TYPES, Memory
from wasmguard.sandbox.reader import NAME, Reader, shown
from wasmguard.sandbox.scan import check_abi, scan
from wasmguard.text import is_plain

ROOT = Path(__file__).parents[2]
GUESTS = ROOT / "tests" / "guests"
NAMES = sorted(path.stem for path in GUESTS.glob("*.wat"))
BUILT = sorted(ROOT.glob("build/*/policy.wasm"))

# What each guest must come to, as its first line says.
MUST = {
    name: (GUESTS / f"{name}.wat").read_text(encoding="utf-8").split("\n")[0].partition(" Must: ")[2] for name in NAMES
}
REFUSED_BY_SCAN = [name for name in NAMES if "by the scan" in MUST[name]]
REFUSED_BY_ABI = [name for name in NAMES if "by check_abi" in MUST[name]]
ACCEPTED = sorted({*NAMES} - {*REFUSED_BY_SCAN} - {*REFUSED_BY_ABI})


def nested(depth):
    """Components in components, *depth* levels below the outermost."""
    inner = composed()
    for _ in range(depth):
        inner = composed(section(4, inner))
    return inner


NOTHING = function_type()
BODY = b"\x02\x00\x0b"  # size 2: no locals, end
CONSTANT = b"\x7f\x00\x41\x00\x0b"  # an immutable i32 of 0
EMPTY_DATA = b"\x01\x00"  # passive, no bytes
EMPTY_ELEMENT = b"\x01\x00\x00"
FUNCREF, PAGE = b"\x70\x00\x01", b"\x00\x01"  # a table of one element, a memory of one page


def functions(count):
    return (TYPE, [NOTHING]), (FUNCTION, [b"\0"] * count), (CODE, [BODY] * count)


def big_body(size):
    return (TYPE, [NOTHING]), (FUNCTION, [b"\0"]), (CODE, [leb(size) + b"\0" + b"\x01" * (size - 2) + b"\x0b"])


def exports_of(count):
    return (MEMORY, [PAGE]), (EXPORT, [name(f"e{i}") + b"\x02\x00" for i in range(count)])


def imports_of(count):
    return (TYPE, [NOTHING]), (IMPORT, [name("env") + name(f"i{i}") + b"\x00\x00" for i in range(count)])


def custom_of(size):
    return section(0, name("c") + bytes(size - 2))


TOO_MANY = {
    "types": lambda n: core((TYPE, [NOTHING] * n)),
    "parameters": lambda n: core((TYPE, [function_type([I32] * n)])),
    "imports": lambda n: core(*imports_of(n)),
    "functions": lambda n: core(*functions(n)),
    "names": lambda n: core((MEMORY, [PAGE]), (EXPORT, [name("e" * (n - 6)) + b"\x02\x00"])),
    "tables": lambda n: core((TABLE, [FUNCREF] * n)),
    "memories": lambda n: core((MEMORY, [PAGE] * n)),
    "globals": lambda n: core((GLOBAL, [CONSTANT] * n)),
    "exports": lambda n: core(*exports_of(n)),
    "element_segments": lambda n: core((ELEMENT, [EMPTY_ELEMENT] * n)),
    "element_bytes": lambda n: CORE_HEADER + section(ELEMENT, b"\x01" + bytes(n - 1)),
    "data_segments": lambda n: core((DATA, [EMPTY_DATA] * n)),
    "body": lambda n: core(*big_body(n)),
    "custom": lambda n: CORE_HEADER + custom_of(n),
    "sections": lambda n: CORE_HEADER + section(0, name("c")) * n,
    "code": lambda n: CORE_HEADER + section(CODE, b"\0" * n),
}


def refusal(data, limits=HARD_MAX):
    """The one line that refuses these bytes, in the scan or in the ABI check."""
    with pytest.raises(ModuleRefused) as caught:
        check_abi(scan(data, limits), limits)
    line = str(caught.value)
    assert all(map(is_plain, line)), "not one clean line"
    assert len(line) < 1_000
    assert not line.endswith(".")
    return line


def scan_refusal(data, limits=HARD_MAX):
    with pytest.raises(ModuleRefused):
        scan(data, limits)
    return refusal(data, limits)


# --- the guests


def test_the_list_of_guests_repeats_their_first_lines():
    listed = re.findall(r"^\| `(\w+)` \| (.+) \| (.+) \|$", (GUESTS / "README.md").read_text(encoding="utf-8"), re.M)
    said = [
        re.match(r";; (.+)\. Must: (.+)\.\n", (GUESTS / f"{n}.wat").read_text(encoding="utf-8")).groups() for n in NAMES
    ]
    assert listed == [(n, *words) for n, words in zip(NAMES, said, strict=True)]


@pytest.mark.parametrize("guest", ACCEPTED)
def test_a_guest_that_is_refused_nowhere_here_passes(guest, assembled):
    check_abi(scan(assembled(guest)))


@pytest.mark.parametrize("guest", REFUSED_BY_SCAN)
def test_a_guest_of_another_structure_is_refused_by_the_scan(guest, assembled):
    scan_refusal(assembled(guest))


@pytest.mark.parametrize("guest", REFUSED_BY_ABI)
def test_a_guest_of_another_abi_has_a_shape_and_is_refused(guest, assembled):
    scan(assembled(guest))
    refusal(assembled(guest), DEFAULT)


@pytest.mark.parametrize(
    ("guest", "sentence"),
    [
        ("imports_env", "imports `env.log`: a policy may import nothing but WASI"),
        ("imports_memory", "imports `env.memory`: a policy may import nothing but WASI"),
        ("imports_wasi", "imports WASI `path_open`, which a policy cannot have: build it without files and sockets"),
        ("wasi_unstable", "imports `fd_write` of `wasi_unstable`: build it with current tools"),
        ("wasi_wrong_type", "imports WASI `fd_write` as func (i64) -> (i32): it is func (i32, i32, i32, i32) -> (i32)"),
        ("wasi_global", "imports WASI `fd_write` as global: it is func"),
        ("component_imports", "imports `wasi:cli/environment@0.2.0`, `log`: a policy may import nothing"),
        ("escape_in_import_name", 'imports `env.log\ufffd[2J policy "x" is fine\ufffd`: a policy may import nothing'),
        ("abi_2", "speaks `wasmguard_abi_2`: known is guest ABI 1"),
        ("command_start", "is a command, it exports `_start`"),
        ("no_marker", "does not export `wasmguard_abi_1`"),
        ("no_alloc", "does not export `wasmguard_alloc`"),
        ("no_memory", "does not export `memory`"),
        ("component_no_evaluate", "does not export `evaluate`"),
        (
            "wrong_alloc_type",
            "exports `wasmguard_alloc` as func (i64) -> (i32): the guest ABI needs func (i32) -> (i32)",
        ),
        ("wrong_evaluate_type", "as func (i32, i32) -> (i32): the guest ABI needs func (i32, i32) -> (i64)"),
        ("wrong_initialize_type", "exports `_initialize` as func () -> (i32)"),
        ("memory_as_function", "exports `memory` as func () -> (): the guest ABI needs memory"),
        ("memory_too_big", "starts with 1,073,741,824 bytes of memory (limit 16,777,216)"),
        ("shared_memory", "has a shared memory"),
        ("memory64", "has a 64-bit memory"),
        ("multi_memory", "has 2 memories (limit 1)"),
        ("exceptions", "has a section with id 13"),
        ("v128_export", "exports `more` as func (v128) -> ()"),
        ("gc_struct", "has a type that is no function type (form 0x5f)"),
    ],
)
def test_each_refusal_has_its_own_sentence(guest, sentence, assembled):
    assert sentence in refusal(assembled(guest), DEFAULT)


def test_a_shape_says_what_the_module_is_made_of(assembled):
    shape = scan(assembled("pass"))
    assert (shape.kind, shape.size, shape.imports, shape.functions) == ("core", len(assembled("pass")), (), 3)
    assert shape.memory == Memory(minimum=1)
    assert shape.exports == {
        "memory": "memory",
        "wasmguard_abi_1": "func () -> ()",
        "wasmguard_alloc": "func (i32) -> (i32)",
        "wasmguard_evaluate": "func (i32, i32) -> (i64)",
    }
    shape = scan(assembled("component_pass"))
    assert (shape.kind, shape.imports, shape.exports) == ("component", (), {"evaluate": "func"})
    assert (shape.functions, shape.memory) == (2, Memory(minimum=1))


def test_a_module_may_export_more_than_the_abi_names(assembled):
    """Further exports do no harm, and an ABI of the future beside ABI 1 does not either."""
    text = wasmtime.wat2wasm('(module (func (export "wasmguard_abi_2")) (func (export "_start")))')
    more = scan(bytes(text)).exports
    shape = scan(assembled("pass"))
    check_abi(shape.replaced(exports={**shape.exports, **more}))


# --- WASI


def wasi_of(*names, kind=b"\x00\x00", module=wasi.MODULE, signature=((), ())):
    """A guest that imports these, each of kind and type as told."""
    codes = {text: value for value, text in VALUE_TYPES.items()}
    kinds = [function_type(*([codes[v] for v in side] for side in signature))]
    return core((TYPE, kinds), (IMPORT, [name(module) + name(n) + kind for n in names]))


@pytest.mark.parametrize("function", wasi.FUNCTIONS)
def test_a_function_of_wasi_is_met_by_name_and_exact_type(function, assembled):
    shape = scan(assembled("pass"))
    right = wasi.FUNCTIONS[function].signature
    imported = scan(wasi_of(function, signature=right))
    assert imported.wasi == (function,)
    check_abi(shape.replaced(imports=imported.imports))
    taken, given = right
    for wrong in [((*taken, "i32"), given), (taken[:-1], ("i64",)), (taken, ()), (taken, ("i32", "i32")), ((), ())]:
        if wrong != right:
            line = refusal(wasi_of(function, signature=wrong))
            assert line.startswith(f"imports WASI `{function}` as func (")


def test_names_are_told_in_their_order_and_as_often_as_they_stand_there():
    names = ("fd_write", "fd_close", "fd_write")
    assert scan(wasi_of(*names)).wasi == names
    assert scan(core()).wasi == ()
    assert scan(wasi_of("fd_write", module="env")).wasi == ()


@pytest.mark.parametrize("kind", [b"\x01" + FUNCREF, b"\x02" + PAGE, b"\x03\x7f\x00"])
def test_a_function_of_wasi_is_nothing_else(kind):
    assert re.match(
        "imports WASI `fd_write` as (table|memory|global): it is func", refusal(wasi_of("fd_write", kind=kind))
    )


@pytest.mark.parametrize(
    "module", ["wasi_unstable", "wasi_snapshot_preview", "wasi_snapshot_preview1 ", "Wasi_snapshot_preview1"]
)
def test_only_one_module_of_that_name_is_met(module, assembled):
    imported = scan(wasi_of("sched_yield", module=module, signature=((), ("i32",)))).imports
    with pytest.raises(ModuleRefused, match=r"^imports `"):
        check_abi(scan(assembled("pass")).replaced(imports=imported))


@pytest.mark.parametrize(
    ("names", "sentence"),
    [
        (("sock_accept",), "imports WASI `sock_accept`, which a policy cannot have"),
        (("fd_write\0",), "imports WASI `fd_write\ufffd`, which"),
        (("fd_write", "path_open", "fd_pread"), "imports WASI `path_open`, `fd_pread`, which"),
        (
            ("fd_renumber", "path_open", "fd_pread", "sock_send"),
            "`fd_renumber`, `path_open`, `fd_pread` and 1 more, which",
        ),
    ],
)
def test_an_unknown_function_of_wasi_is_refused_by_name(names, sentence):
    assert sentence in refusal(wasi_of(*names))


# --- header and size


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"", "is empty"),
        (b"(module)", "is WebAssembly text: assemble it first"),
        (b"\xef\xbb\xbf \n;; a policy\n(module)", "is WebAssembly text"),
        (b"(; a policy ;) (component)", "is WebAssembly text"),
        (b"\x1f\x8b\x08\0\0\0\0\0\0", "is compressed with gzip"),
        (b"PK\x03\x04\x14\0\0\0", "is a zip archive"),
        (b"\x7fELF\x02\x01\x01\0", "is a native program (ELF)"),
        (b"\0asm", "is cut short: 4 bytes"),
        (CORE_HEADER[:7], "is cut short: 7 bytes"),
        (b"\0", "is cut short: 1 bytes"),
        (b"\0asm\x02\0\0\0", "is a core module of version 2 (known: 1)"),
        (b"\0asm\x0e\0\x01\0", "is a component of version 14 (known: 13)"),
        (b"\0asm\x01\0\x02\0", "of an unknown kind (layer 2)"),
        (b"#!/bin/sh\n", "is no WebAssembly: it starts with the bytes 23 21 2f"),
        (b"\0\0\0\0\0\0\0\0\0", "is no WebAssembly"),
        (CORE_HEADER, "does not export `memory`, `wasmguard_abi_1`"),
        (COMPONENT_HEADER, "does not export `evaluate`"),
    ],
)
def test_whatever_is_no_module_is_told_apart(data, sentence):
    assert sentence in refusal(data)


def test_a_file_over_the_limit_is_refused_before_its_header_is_read():
    assert "has 4,194,305 bytes (limit 4,194,304)" in refusal(b"(" * (4 * MIB + 1), DEFAULT)


# --- caps


@pytest.mark.parametrize("what", TOO_MANY)
def test_a_core_module_holds_as_much_as_its_caps_allow_and_no_more(what):
    most = getattr(caps.CORE, what)
    assert re.search(rf"{most + 1:,}.*\(limit {most:,}\)|more than {most} ", scan_refusal(TOO_MANY[what](most + 1)))
    if what not in ("code", "element_bytes"):  # zeroes: nothing but their size counts
        scan(TOO_MANY[what](most), HARD_MAX)


def test_every_cap_has_a_module_that_breaks_it():
    assert TOO_MANY.keys() == caps.CORE.as_dict().keys()


def test_a_count_of_data_segments_is_held_against_the_same_cap():
    scan(CORE_HEADER + section(DATA_COUNT, leb(65_536)))
    assert "has 65,537 data segments" in scan_refusal(CORE_HEADER + section(DATA_COUNT, leb(65_537)))


def test_imported_tables_and_memories_count():
    both = (IMPORT, [name("env") + name("m") + b"\x02" + PAGE]), (MEMORY, [PAGE])
    assert "has 2 memories" in scan_refusal(core(*both))
    five = (IMPORT, [name("env") + name("t") + b"\x01" + FUNCREF] * 4), (TABLE, [FUNCREF])
    assert "has 5 tables" in scan_refusal(core(*five))


def test_custom_sections_count_together():
    half = custom_of(MIB // 2)
    scan(CORE_HEADER + half + half)
    assert "has 1,048,577 bytes of custom sections" in scan_refusal(CORE_HEADER + half + custom_of(MIB // 2 + 1))


@pytest.mark.parametrize("what", ["imports", "exports", "body"])
def test_a_core_module_inside_a_component_may_hold_more(what):
    most = getattr(caps.NESTED, what)
    assert most > getattr(caps.CORE, what)
    scan(composed(section(1, TOO_MANY[what](most))), HARD_MAX)
    line = scan_refusal(composed(section(1, TOO_MANY[what](most + 1))))
    assert re.match(rf"has a core module inside \(number 1\) that has {most + 1:,} .*\(limit {most:,}\)", line)


@pytest.mark.parametrize("what", caps.TOGETHER)
def test_the_core_modules_of_a_component_have_caps_together(what):
    most, each = caps.TOGETHER[what], getattr(caps.NESTED, what)
    parts = [each] * (most // each) + [most % each] * (most % each > 0)
    modules = [section(1, TOO_MANY[what](count)) for count in parts]
    scan(composed(*modules), HARD_MAX)
    assert f"has {most + 1:,} {what} in its core modules" in scan_refusal(
        composed(*modules, section(1, TOO_MANY[what](1)))
    )


def test_the_custom_sections_of_a_component_and_of_its_modules_count_together():
    half = custom_of(MIB // 2)
    scan(composed(half, section(1, CORE_HEADER + half)), HARD_MAX)
    spread = [section(1, CORE_HEADER + custom_of(MIB // 4))] * 4
    assert "has 1,048,583 bytes of custom sections" in scan_refusal(composed(custom_of(7), *spread))


def test_the_names_of_a_component_have_the_same_cap():
    for identity, end in ((10, b"\1\0"), (11, b"\1\0\0")):
        scan(composed(section(identity, vector([b"\0" + name("n" * 65_000) + end]))))
        assert "limit 65,536" in scan_refusal(composed(section(identity, vector([b"\0" + name("n" * 66_000) + end]))))


@pytest.mark.parametrize("slow", SLOWEST)
def test_what_is_refused_is_refused_quickly(slow):
    """The bar is 50 ms, and idle machines take 20 for these; the bound is for busy ones, and for the next Python."""
    data, limits = SLOWEST[slow]()

    def once():
        begun = time.process_time()
        with pytest.raises(ModuleRefused):
            check_abi(scan(data, limits), limits)
        return time.process_time() - begun

    assert min(once() for _ in range(5)) < 0.25


def test_components_nest_eight_deep_and_no_deeper():
    scan(nested(8))
    assert "has components 9 deep" in scan_refusal(nested(9))
    refusal(nested(2_000))  # no recursion: nothing overflows


def test_a_component_holds_64_of_each_inside():
    scan(composed(section(1, CORE_HEADER) * 64, section(4, COMPONENT_HEADER) * 64))
    assert "more than 64 core modules" in scan_refusal(composed(section(1, CORE_HEADER) * 65))
    assert "more than 64 components" in scan_refusal(composed(section(4, COMPONENT_HEADER) * 65))
    spread = section(4, composed(section(1, CORE_HEADER) * 33)) * 2
    assert "more than 64 core modules" in scan_refusal(composed(spread))


def test_a_component_has_caps_of_its_own():
    scan(composed(section(7, b"\0") * 4_000))
    assert "more than 4,000 component sections" in scan_refusal(composed(section(7, b"\0") * 4_001))
    scan(composed(section(0, name("c")) * 256))
    assert "more than 256 custom sections" in scan_refusal(composed(section(0, name("c")) * 257))
    imported, exported = [[b"\0" + name(str(i)) + b"\1\0" + end for i in range(65)] for end in (b"", b"\0")]
    scan(composed(section(10, vector(imported[1:])), section(11, vector(exported[1:]))))
    assert "more than 64 imports" in scan_refusal(composed(*(section(10, vector([item])) for item in imported)))
    assert "more than 64 exports" in scan_refusal(composed(*(section(11, vector([item])) for item in exported)))
    assert "has 2,001 entries in one section with id 7" in scan_refusal(composed(section(7, vector([b"\x7f"] * 2_001))))


# --- sections that lie


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (CORE_HEADER + b"\x01", "it ends in the middle"),
        (CORE_HEADER + b"\x01\x05\x00", "5 bytes are announced, 1 are left"),
        (CORE_HEADER + b"\x01\xff\xff\xff\xff\x0f", "4,294,967,295 bytes are announced, 0 are left"),
        (CORE_HEADER + b"\x01" + leb(1, 6) + b"\0", "a number of more than 5 bytes"),
        (CORE_HEADER + b"\x01\x80\x80\x80\x80\x10", "a number over 32 bits"),
        (CORE_HEADER + b"\x01\x80", "it ends in the middle"),
        (CORE_HEADER + section(TYPE, b"\x00\x00"), "1 bytes too many in a section"),
        (CORE_HEADER + section(TYPE, b"\x05" + NOTHING), "5 types are announced in 3 bytes"),
        (CORE_HEADER + section(TYPE, b"\x02" + NOTHING), "it ends in the middle"),
        (CORE_HEADER + section(TYPE, b""), "it ends in the middle"),
        (CORE_HEADER + section(14, b""), "has a section with id 14 (known: 0 to 12)"),
        (CORE_HEADER + section(255, b""), "has a section with id 255"),
        (CORE_HEADER + section(0, b"\x05ab"), "5 bytes are announced, 2 are left"),
        (CORE_HEADER + section(0, name(b"\xff")), "a name that is not UTF-8"),
        (CORE_HEADER + section(0, name(b"\xed\xa0\x80")), "a name that is not UTF-8"),
        (core((TYPE, []), (TYPE, [])), "has section 1 twice or in the wrong place"),
        (core((EXPORT, []), (TYPE, [])), "has section 1 twice or in the wrong place"),
        (core((CODE, [])) + section(DATA_COUNT, b"\0"), "has section 12 twice or in the wrong place"),
        (core((TYPE, [function_type([0x6E])])), "uses values of type 0x6e"),
        (core((TYPE, [b"\x4e\x01\x60\0\0"])), "no function type (form 0x4e)"),
        (core((TYPE, [NOTHING]), (FUNCTION, [b"\0"])), "has 0 function bodies for 1 functions"),
        (core((TYPE, [NOTHING]), (FUNCTION, [b"\0"]), (CODE, [BODY] * 2)), "has 2 function bodies for 1 functions"),
        (core((TYPE, [NOTHING]), (FUNCTION, [b"\1"])), "a function of type 1, there are 1"),
        (core((IMPORT, [name("a") + name("b") + b"\0\0"])), "a function of type 0, there are 0"),
        (core((IMPORT, [name("a") + name("b") + b"\x04\0\0"])), "imports `a.b` of kind 4"),
        (core((IMPORT, [name("a") + name("b") + b"\x03\x63\x70\0"])), "uses values of type 0x63"),
        (core((TABLE, [b"\x40\x00\x70\x00\x01"])), "something else than `funcref` and `externref`"),
        (core((TABLE, [b"\x69\x00\x01"])), "something else than `funcref` and `externref`"),
        (core((TABLE, [b"\x7f\x00\x01"])), "something else than `funcref` and `externref`"),
        (core((MEMORY, [b"\x08\x01\x00"])), "has a memory or a table with flags 0x08"),
        (core((MEMORY, [b"\x00" + leb(1, 6)])), "a number of more than 5 bytes"),
        (core((EXPORT, [name("e") + b"\x00\x00"])), "`e` is func 0, there are 0"),
        (core((MEMORY, [PAGE]), (EXPORT, [name("e") + b"\x02\x01"])), "`e` is memory 1, there are 1"),
        (core((EXPORT, [name("e") + b"\x03\x00"])), "`e` is global 0, there are 0"),
        (core((EXPORT, [name("e") + b"\x04\x00"])), "exports `e` of kind 4"),
        (core((MEMORY, [PAGE]), (EXPORT, [name("e") + b"\x02\x00"] * 2)), "exports `e` twice"),
        (core((CODE, [b"\x05\x00\x0b"])), "5 bytes are announced, 2 are left"),
        (CORE_HEADER + section(START, b"\0\0"), "1 bytes too many"),
        (composed(section(13, b"\0")), "has a section with id 13 (known in a component: 0 to 12)"),
        (composed(section(1, COMPONENT_HEADER)), "that is no core module of version 1"),
        (composed(section(1, CORE_HEADER[:4])), "that is damaged at byte 10"),
        (composed(section(4, CORE_HEADER)), "has a component of another version inside"),
        (composed(section(4, b"")), "8 bytes are announced, 0 are left"),
        (composed(section(7, b"\x05\x7f")), "5 entries in one section with id 7 are announced in 1 bytes"),
        (composed(section(10, vector([b"\x02" + name("a") + b"\x01\x00"]))), "a name of unknown form 0x02"),
        (composed(section(10, vector([b"\x00" + name("a") + b"\x06\x00"]))), "something of unknown sort 0x06"),
        (composed(section(11, vector([b"\x00" + name("a") + b"\x00\x01\x00\x00"]))), "something of unknown sort 0x00"),
        (composed(section(11, vector([b"\x00" + name("a") + b"\x01\x00\x00"] * 2))), "exports `a` twice"),
    ],
)
def test_a_structure_that_lies_is_refused(data, sentence):
    assert sentence in scan_refusal(data)


def test_numbers_may_be_padded_as_linkers_do():
    content = leb(1, 5) + NOTHING
    padded = CORE_HEADER + bytes([TYPE]) + leb(len(content), 5) + content
    assert scan(padded) == scan(core((TYPE, [NOTHING]))).replaced(size=len(padded))


@pytest.mark.parametrize("cut", range(1, 40))
def test_a_truncated_module_is_refused(cut, assembled):
    refusal(assembled("pass")[:-cut])


def test_two_exports_that_look_the_same_are_refused():
    twins = [name("a\x1b") + b"\x02\x00", name("a\x07") + b"\x02\x00"]
    assert "has two exports that look the same: `a\ufffd`" in scan_refusal(core((MEMORY, [PAGE]), (EXPORT, twins)))


@pytest.mark.parametrize(
    "near", ["wasmguard_evaluate\\00", "wasmguard_evaluate\u200b", "wasmguard_evaluate ", "evaluate"]
)
def test_a_name_that_only_looks_like_an_abi_name_is_not_one(near):
    text = (GUESTS / "pass.wat").read_text(encoding="utf-8").replace("wasmguard_evaluate", near)
    assert "does not export `wasmguard_evaluate`" in refusal(bytes(wasmtime.wat2wasm(text)))


def test_long_names_are_cut():
    shape = scan(core((MEMORY, [PAGE]), (EXPORT, [name("\u200b" * 20_000) + b"\x02\x00"])))
    assert list(shape.exports) == ["\ufffd" * (NAME - 1) + "…"]


# --- memory and tables at the start


def test_memory_fits_the_limit_from_the_start(assembled):
    shape = scan(assembled("pass"))
    check_abi(shape.replaced(memory=Memory(minimum=256)))
    with pytest.raises(ModuleRefused, match=r"starts with 16,842,752 bytes of memory \(limit 16,777,216\)"):
        check_abi(shape.replaced(memory=Memory(minimum=257)))
    check_abi(shape.replaced(memory=Memory(minimum=257)), HARD_MAX)


@pytest.mark.parametrize(
    ("declared", "memory"),
    [
        (b"\x00\x05", Memory(minimum=5)),
        (b"\x01\x05\x06", Memory(minimum=5, maximum=6)),
        (b"\x02\x05", Memory(minimum=5, shared=True)),  # invalid without a maximum: the engine says so
        (b"\x03\x05\x06", Memory(minimum=5, maximum=6, shared=True)),
        (b"\x04" + leb(2**48), Memory(minimum=2**48, is_64=True)),
        (b"\x07" + leb(2**40) + leb(2**63), Memory(minimum=2**40, maximum=2**63, shared=True, is_64=True)),
    ],
)
def test_a_memory_is_read_as_it_is_declared(declared, memory):
    assert scan(core((MEMORY, [declared]))).memory == memory


def test_tables_fit_the_limit_from_the_start(assembled):
    tables = [b"\x70\x00" + leb(10_000), b"\x6f\x00" + leb(10_001)]
    shape = scan(core((TABLE, tables)))
    assert shape.table_elements_min == 10_001
    with pytest.raises(ModuleRefused, match=r"a table of 10,001 elements \(limit 10,000\)"):
        check_abi(scan(assembled("pass")).replaced(table_elements_min=10_001))


def test_the_largest_memory_of_a_component_counts():
    inner = [section(1, core((MEMORY, [b"\x00" + leb(pages)]))) for pages in (1, 300, 2)]
    shape = scan(composed(*inner))
    assert shape.memory == Memory(minimum=300)
    with pytest.raises(ModuleRefused, match="19,660,800 bytes of memory"):
        check_abi(shape.replaced(exports={"evaluate": "func"}))


# --- what a module says about itself


def producers(*fields):
    return section(0, name("producers") + vector([name(field) + vector(tools) for field, tools in fields]))


def test_producers_are_read_and_cleaned():
    tools = [name("Rust\x1b[2J") + name("1.96"), name("C") + name("")]
    data = CORE_HEADER + producers(("language", tools), ("sdk", []))
    assert scan(data).producers == (("language", "Rust\ufffd[2J", "1.96"), ("language", "C", ""))
    assert scan(data).custom == (("producers", len(data) - 10),)
    assert scan(composed(section(1, data))).producers == scan(data).producers


@pytest.mark.parametrize("content", [b"", b"\x05", b"\x01\x08lang", b"\xff\xff\xff\xff\x0f"])
def test_producers_that_cannot_be_read_say_nothing(content):
    assert scan(CORE_HEADER + section(0, name("producers") + content)).producers == ()


def test_component_imports_are_named_by_what_they_are():
    kinds = {"core module": b"\x00\x11\x00", "func": b"\x01\x00", "value": b"\x02\x01\x7f", "component": b"\x04\x00"}
    kinds |= {"instance": b"\x05\x00", "type": b"\x03\x01"}
    data = composed(section(10, vector([b"\x00" + name(kind) + code for kind, code in kinds.items()])))
    assert scan(data).imports == tuple(("", kind, kind) for kind in kinds)
    assert "imports `core module`, `func`, `value` and 3 more: a policy may import nothing" in refusal(data)


def test_what_inner_components_import_and_export_stays_inside():
    inner = composed(
        section(10, vector([b"\0" + name("i") + b"\1\0"])), section(11, vector([b"\0" + name("e") + b"\1\0\0"]))
    )
    shape = scan(composed(section(4, inner)))
    assert (shape.imports, shape.exports) == ((), {})


# --- two readers


def test_the_scan_needs_no_engine():
    """It runs before the engine sees a byte, also where none is installed."""
    probe = "import sys, wasmguard.sandbox.scan; sys.exit('wasmtime' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", probe], check=False, cwd=ROOT).returncode == 0


@pytest.fixture(scope="module")
def engine():
    """Everything on that some guest uses: this is about reading, not about refusing."""
    config = wasmtime.Config()
    names = ["threads", "memory64", "multi_memory", "tail_call", "relaxed_simd", "exceptions", "gc", "component_model"]
    for switch in ["shared_memory", *(f"wasm_{switch}" for switch in names)]:
        assert isinstance(getattr(wasmtime.Config, switch), property)
        setattr(config, switch, True)
    return wasmtime.Engine(config)


ENGINE_VALUES = {"anyref": "externref"}  # wasmtime's Python package still prints the old name
ENGINE_KINDS = {
    wasmtime.TableType: "table",
    wasmtime.MemoryType: "memory",
    wasmtime.GlobalType: "global",
    component.FuncType: "func",
    component.ComponentInstanceType: "instance",
}


def in_our_words(kind):
    if isinstance(kind, wasmtime.FuncType):
        taken, given = (
            ", ".join(ENGINE_VALUES.get(str(v), str(v)) for v in side) for side in (kind.params, kind.results)
        )
        return f"func ({taken}) -> ({given})"
    return ENGINE_KINDS[type(kind)]


def seen_by(engine, data):
    """Imports and exports of a module as wasmtime reads them."""
    if data.startswith(COMPONENT_HEADER):
        found = component.Component(engine, data).type
        imports = tuple(("", shown(n), ENGINE_KINDS[type(item.ty)]) for n, item in found.imports(engine).items())
        return imports, {shown(n): ENGINE_KINDS[type(item.ty)] for n, item in found.exports(engine).items()}
    module = wasmtime.Module(engine, data)
    imports = tuple((shown(i.module), shown(i.name), in_our_words(i.type)) for i in module.imports)
    return imports, {shown(e.name): in_our_words(e.type) for e in module.exports}


@pytest.mark.parametrize("guest", NAMES)
def test_every_guest_is_valid_and_its_shape_is_what_the_engine_sees(guest, assembled, engine):
    if guest == "v128_export":
        return  # nobody may ask the engine for that type
    view = seen_by(engine, assembled(guest))
    if guest not in REFUSED_BY_SCAN:
        shape = scan(assembled(guest))
        assert (shape.imports, shape.exports) == view


@pytest.mark.parametrize("path", BUILT, ids=lambda path: path.parent.name)
def test_the_shape_of_every_built_policy_is_what_the_engine_sees(path, engine):
    data = path.read_bytes()
    shape = scan(data, HARD_MAX)
    check_abi(shape, HARD_MAX)
    assert (shape.imports, shape.exports) == seen_by(engine, data)


types = st.lists(st.sampled_from(sorted({*VALUE_TYPES} - {0x7B})), max_size=3)  # v128: see `v128_export`


@st.composite
def modules(draw):
    """Valid modules of imports, functions and exports in any mixture."""
    signatures = draw(st.lists(st.tuples(types, types), min_size=1, max_size=4))
    pick = st.integers(0, len(signatures) - 1)
    descriptions = st.one_of(
        pick.map(lambda i: b"\0" + leb(i)),
        st.sampled_from([b"\x01\x70\x00\x01", b"\x01\x6f\x01\x01\x05", b"\x03\x7f\x00", b"\x03\x70\x01"]),
    )
    imported = draw(st.lists(descriptions, max_size=4))
    defined = draw(st.lists(pick, max_size=4))
    spaces = [sum(d[0] == kind for d in imported) for kind in range(4)]
    spaces[0] += len(defined)
    items = [(kind, index) for kind, space in enumerate(spaces) for index in range(space)]
    exported = draw(st.lists(st.sampled_from(items), max_size=6)) if items else []
    labels = draw(st.lists(st.text(max_size=6), min_size=len(exported), max_size=len(exported), unique_by=shown))
    return core(
        (TYPE, [function_type(*signature) for signature in signatures]),
        (IMPORT, [name("m") + name(f"n{i}") + d for i, d in enumerate(imported)]),
        (FUNCTION, [leb(i) for i in defined]),
        (EXPORT, [name(label) + bytes([k]) + leb(i) for label, (k, i) in zip(labels, exported, strict=True)]),
        (CODE, [b"\x03\x00\x00\x0b"] * len(defined)),  # unreachable: fits every type
    )


@settings(deadline=None, max_examples=100)
@given(data=modules())
def test_both_readers_find_the_same_types(data, engine):
    shape = scan(data)
    assert (shape.imports, shape.exports) == seen_by(engine, data)


def mutated(data, edits):
    """Bytes overwritten, removed, inserted or repeated."""
    out = bytearray(data)
    for kind, where, byte in edits:
        at = where % (len(out) or 1)
        if kind == "set":
            out[at : at + 1] = bytes([byte])
        elif kind == "drop":
            del out[at : at + 1 + byte % 8]
        elif kind == "add":
            out[at:at] = bytes([byte])
        else:
            out[at:at] = out[at : at + 1 + byte % 40]
    return bytes(out)


def shape_or_none(data):
    """The shape of a module that could be asked; None, and one clean line why not, of any other bytes."""
    try:
        shape = scan(data)
        check_abi(shape)
    except ModuleRefused as refused:
        return None if all(map(is_plain, str(refused))) else pytest.fail(f"not one clean line: {str(refused)!r}")
    return shape


edit = st.tuples(st.sampled_from(["set", "drop", "add", "repeat"]), st.integers(8, 10_000), st.integers(0, 255))


@settings(deadline=None, max_examples=300)
@given(guest=st.sampled_from(NAMES), edits=st.lists(edit, min_size=1, max_size=2))
def test_a_mutated_module_is_refused_or_both_readers_agree(guest, edits, assembled, engine):
    data = mutated(assembled(guest), edits)
    shape = shape_or_none(data)
    if shape is None:
        return
    try:
        view = seen_by(engine, data)
    except wasmtime.WasmtimeError:
        return  # the engine refuses it for its code
    assert (shape.imports, shape.exports) == view


@settings(deadline=None, max_examples=300)
@given(head=st.sampled_from([b"", b"\0asm", CORE_HEADER, COMPONENT_HEADER]), tail=st.binary(max_size=200))
def test_random_bytes_are_refused_and_nothing_else_happens(head, tail):
    assert shape_or_none(head + tail) is None


edges = st.sampled_from([0, 127, 128, 2**14 - 1, 2**14, 2**21 - 1, 2**21, 2**28 - 1, 2**28, 2**32 - 1])
number = st.builds(leb, st.integers(0, 2**32 - 1) | edges, st.integers(0, 5))


@given(numbers=st.lists(number, max_size=6))
def test_many_numbers_are_read_as_each_of_them_is(numbers):
    one_by_one = Reader(b"".join(numbers))
    assert Reader(b"".join(numbers)).numbers(len(numbers)) == [one_by_one.unsigned(32) for _ in numbers]


@example(data=b"\x01\x80\x80\x80\x80\x10", count=2)  # a bit more than 32
@example(data=b"\x80\x80\x80\x80\x80\x00", count=1)
@given(data=st.binary(max_size=12) | st.lists(number, max_size=3).map(b"".join), count=st.integers(0, 4))
def test_what_cannot_be_read_at_once_is_refused_as_one_by_one(data, count):
    def one_by_one():
        reader = Reader(data)
        numbers = [reader.unsigned(32) for _ in range(count)]
        reader.finish()
        return numbers

    def said(read):
        try:
            return read()
        except ModuleRefused as refused:
            return str(refused)

    assert said(lambda: Reader(data).numbers(count)) == said(one_by_one)


@given(things=st.lists(st.tuples(st.binary(max_size=300), st.integers(0, 5)), max_size=4), cut=st.integers(0, 3))
def test_things_are_stepped_over_by_the_size_in_front(things, cut):
    data = b"".join(leb(len(thing), size) + thing for thing, size in things)
    reader = Reader(data + b"x")
    assert reader.sizes(len(things)) == [len(thing) for thing, _ in things]
    assert reader.left == 1
    if cut and data[:-cut] != data:
        with pytest.raises(ModuleRefused, match="is damaged"):
            Reader(data[:-cut]).sizes(len(things))


@given(number=st.integers(0, 2**32 - 1) | edges, size=st.integers(0, 5))
def test_every_number_of_32_bits_is_read_however_it_is_padded(number, size):
    reader = Reader(leb(number, size))
    assert reader.u32() == number
    reader.finish()
