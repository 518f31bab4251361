"""Which module of a model goes wrong: its forward passes are watched, module by module."""

import re
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

NAMES = re.compile(r"network\.copies\.(\d+)\.(?:blocks\.(\d+)\.(?:(dense|sparse)\.(\w+)|(\w+))|(\w+))")
"""Names of a Network's modules: in a block, its interaction modules and the mergers and norms around them."""


class Probe:
    """Context in which every module's outputs are looked at; `culprit` says afterwards who began the trouble.

    The maxima stay on the device until then. Modules are seen in the order in which they finish.
    """

    def __init__(self, model: nn.Module) -> None:
        self._model = model
        self._seen: list[tuple[str, Tensor]] = []
        self._hooks: list[RemovableHandle] = []

    def __enter__(self) -> "Probe":
        for name, module in self._model.named_modules():
            if name:
                self._hooks.append(module.register_forward_hook(self._watch(name)))
        return self

    def __exit__(self, *error: object) -> None:
        for hook in self._hooks:
            hook.remove()

    def culprit(self) -> str:
        """Name the first module with an output that is not finite, else the one with the largest output."""
        largest = [(name, float(peak)) for name, peak in self._seen]
        broken = [(name, peak) for name, peak in largest if not peak < float("inf")]
        if broken:
            return f"the first output that is not finite is that of {words(broken[0][0])}"
        if not largest:
            return "no module was seen at work"
        name, peak = max(largest, key=lambda seen: seen[1])
        return f"all outputs are finite; the largest, {peak:.3g}, is that of {words(name)}"

    def _watch(self, name: str) -> Callable[[nn.Module, object, object], None]:
        def look(module: nn.Module, inputs: object, output: object) -> None:
            tensors = output if isinstance(output, tuple) else (output,)
            for tensor in tensors:
                if isinstance(tensor, Tensor) and tensor.is_floating_point() and tensor.numel():
                    self._seen.append((name, torch.linalg.vector_norm(tensor.detach(), ord=float("inf"))))

        return look


def words(name: str) -> str:
    """Say a module's name as people do: 'block 3, dense module crossnet' (and of which copy, if not the first)."""
    found = NAMES.match(name)
    if found is None:
        return f"module {name}"
    copy, block, side, module, around, outside = found.groups()
    place = f"block {int(block) + 1}, " if block else ""
    part = f"{side} module {module}" if module else around or outside
    return place + part + (f", of copy {int(copy) + 1}" if int(copy) else "")
