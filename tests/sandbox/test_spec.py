"""What a cell has to know about a guest, on its way to another process."""

from wasmguard import wire
from wasmguard.limits import ROOMY
from wasmguard.sandbox.spec import Spec


def test_a_spec_that_went_through_json_is_the_same():
    spec = Spec(kind="core", limits=ROOMY, answer=70_000, wasi=("fd_write", "proc_exit"))
    assert Spec.from_data(wire.read(wire.written(spec.as_data()))) == spec


def test_what_else_stands_beside_it_does_not_matter():
    """A load message says the sizes of the code in the same place."""
    spec = Spec(kind="component", limits=ROOMY, answer=1)
    assert Spec.from_data(spec.as_data() | {"sizes": [1, 2]}) == spec
