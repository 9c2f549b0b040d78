"""Tests for the errors: one tree, and the picture in the docstring is that tree."""

import inspect
import re

import pytest

from wasmguard import errors

NO_ERROR = {"NotAtOnce"}  # a way to say something, which must not be taken for an error by who catches those
CLASSES = {name: thing for name, thing in vars(errors).items() if inspect.isclass(thing) and name not in NO_ERROR}


def drawn():
    """Each error in the picture with the one it hangs below."""
    branch = []
    for line in errors.__doc__.splitlines():
        if found := re.match(r"    ([│├└─ ]*)([A-Z]\w+Error|[A-Z][a-z]\w+)( |$)", line):
            depth = len(found[1]) // 4
            branch = [*branch[:depth], found[2]]
            yield found[2], branch[depth - 1] if depth else "Exception"


def test_the_picture_is_the_tree():
    assert dict(drawn()) == {name: error.__base__.__name__ for name, error in CLASSES.items()}


def test_everything_raised_on_purpose_has_one_root():
    assert all(issubclass(error, errors.WasmguardError) for error in CLASSES.values())


@pytest.mark.parametrize("name", CLASSES)
def test_every_error_says_what_it_means(name):
    assert CLASSES[name].__doc__.strip().split("\n")[0].endswith(".")


def test_what_is_no_error_is_not_caught_as_one():
    assert not any(issubclass(vars(errors)[name], errors.WasmguardError) for name in NO_ERROR)


def test_whose_fault_it_is_is_told_apart_by_class():
    branches = [
        errors.UsageError,
        errors.ConfigError,
        errors.BundleError,
        errors.EventError,
        errors.GuestFault,
        errors.HostError,
    ]
    for one in branches:
        assert [other for other in branches if issubclass(one, other)] == [one]


def test_what_the_system_says_is_a_cause_in_a_message():
    assert errors.why_of(OSError(28, "No space left on device")) == "no space left on device"
    assert errors.why_of(TimeoutError()) == "timeouterror"
