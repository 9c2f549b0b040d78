"""Tests for values: frozen records that are compared by their fields."""

import pytest

from wasmguard.value import Value


class Point(Value):
    x: int
    y: int = 0


class Pixel(Value):
    x: int
    y: int = 0


def test_a_value_has_its_fields_and_its_defaults():
    assert Point(x=1).as_dict() == {"x": 1, "y": 0}
    assert Point(y=2, x=1).as_dict() == {"x": 1, "y": 2}
    assert list(Point(y=2, x=1).as_dict()) == ["x", "y"]


@pytest.mark.parametrize("fields", [{}, {"y": 1}, {"x": 1, "z": 1}, {"x": 1, "as_dict": 1}, {"x": 1, "_fields": ()}])
def test_a_field_too_many_or_too_few_is_an_error(fields):
    with pytest.raises(TypeError, match="Point: unknown"):
        Point(**fields)


def test_fields_are_given_by_name():
    with pytest.raises(TypeError):
        Point(1)


@pytest.mark.parametrize("name", ["x", "y", "z", "_fields"])
def test_a_value_never_changes(name):
    point = Point(x=1)
    with pytest.raises(AttributeError, match="immutable"):
        setattr(point, name, 2)
    with pytest.raises(AttributeError, match="immutable"):
        delattr(point, name)
    assert point == Point(x=1)


def test_values_are_equal_if_their_types_and_fields_are():
    assert Point(x=1) == Point(x=1, y=0)
    assert Point(x=1) != Point(x=2)
    assert Point(x=1) != Pixel(x=1)
    assert Point(x=1) != {"x": 1, "y": 0}


def test_equal_values_are_one_key():
    assert len({Point(x=1), Point(x=1, y=0), Point(x=2)}) == 2


def test_a_changed_copy_leaves_the_original_alone():
    point = Point(x=1)
    assert point.replaced(y=5) == Point(x=1, y=5)
    assert point.replaced() == point
    assert point == Point(x=1)
    with pytest.raises(TypeError, match="unknown"):
        point.replaced(z=1)


def test_a_value_shows_itself_as_it_is_written():
    assert repr(Point(x=1)) == "Point(x=1, y=0)"


def test_a_value_may_have_no_fields_at_all():
    class Nothing(Value):
        pass

    assert Nothing() == Nothing()
    assert repr(Nothing()) == "Nothing()"
