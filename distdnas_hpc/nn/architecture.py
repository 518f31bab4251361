"""Names of the interaction modules and which of them each choice block keeps (paper §III-A); imports no torch."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

DENSE_MODULES = ("identity", "linear", "dot_product", "crossnet", "pin")
"""op_d, the columns of α in this order."""

SPARSE_MODULES = ("identity3d", "linear3d", "transformer", "embed_fc", "pma")
"""op_s, the columns of β in this order."""


@dataclass(frozen=True)
class Architecture:
    """The modules that each block keeps; the outputs of a side's modules are summed.

    Attributes
    ----------
    dense, sparse : one tuple of names a block, in the order of `DENSE_MODULES` and `SPARSE_MODULES`, none empty.

    Raises
    ------
    ValueError : no blocks, two lengths, an empty side, an unknown or repeated module.
    """

    dense: tuple[tuple[str, ...], ...]
    sparse: tuple[tuple[str, ...], ...]

    def __post_init__(self) -> None:
        if not self.dense or len(self.dense) != len(self.sparse):
            raise ValueError(f"{len(self.dense)} dense and {len(self.sparse)} sparse blocks; give one of each a block")
        for side, known in (("dense", DENSE_MODULES), ("sparse", SPARSE_MODULES)):
            blocks = enumerate(getattr(self, side), 1)
            object.__setattr__(self, side, tuple(_sorted(names, known, f"block {i}, {side}") for i, names in blocks))

    @classmethod
    def full(cls, blocks: int) -> "Architecture":
        """Return the supernet's: every module in every block."""
        return cls(dense=(DENSE_MODULES,) * blocks, sparse=(SPARSE_MODULES,) * blocks)

    @property
    def blocks(self) -> int:
        """N, the number of choice blocks."""
        return len(self.dense)

    def to_dict(self) -> dict[str, list[list[str]]]:
        """Return plain lists for YAML."""
        return {"dense": [list(names) for names in self.dense], "sparse": [list(names) for names in self.sparse]}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> "Architecture":
        """Read what `to_dict` wrote; other keys are left alone."""
        dense, sparse = (tuple(tuple(names) for names in content[side]) for side in ("dense", "sparse"))
        return cls(dense, sparse)


def _sorted(names: Iterable[str], known: tuple[str, ...], where: str) -> tuple[str, ...]:
    given = list(names)
    if not given:
        raise ValueError(f"{where}: no module; keep at least one")
    for name in given:
        if name not in known:
            raise ValueError(f"{where}: no module is called '{name}'; known: {', '.join(known)}")
    if len(set(given)) < len(given):
        raise ValueError(f"{where}: a module stands twice in {given}")
    return tuple(sorted(given, key=known.index))
