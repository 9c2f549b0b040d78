"""What a cell has to know about a guest besides its code."""

from __future__ import annotations

from wasmguard.limits import Limits
from wasmguard.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any


class Spec(Value):
    """One guest, as the plan has it."""

    kind: str
    """`core` or `component`."""

    limits: Limits

    answer: int
    """The most bytes of an answer."""

    wasi: tuple[str, ...] = ()
    """The functions of WASI that it imports, in its order; their code follows its own: see `sandbox.inert`."""

    opa: tuple[str, ...] = ()
    """The same for a module of OPA: everything that it imports of `env`, see `sandbox.opa`. Only those import that."""

    def as_data(self) -> dict[str, Any]:
        """Plain JSON data, for another process."""
        return self.as_dict() | {"limits": self.limits.as_dict()}

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Spec:
        """What `as_data` wrote down."""
        imports = {name: tuple(data[name]) for name in ("wasi", "opa")}
        return cls(kind=data["kind"], limits=Limits(**data["limits"]), answer=data["answer"], **imports)
