"""What of a machine decides the last bits of a sum: equal inputs give equal numbers where all of this is equal."""

import platform
from pathlib import Path

import torch


def arithmetic(device: torch.device) -> dict[str, str | int]:
    """Return by name what adds up numbers: the processor's kind and vector instructions, threads, torch, and a GPU."""
    found: dict[str, str | int] = {
        "processor": _processor(),
        "vectors": torch.backends.cpu.get_cpu_capability(),
        "threads": torch.get_num_threads(),
        "torch": str(torch.__version__),
        "device": device.type,
    }
    if device.type == "cuda":
        found["gpu"] = torch.cuda.get_device_name(device)
    return found


def _processor() -> str:
    """Return what Linux calls the processor, with family, model and stepping, since names may be shortened."""
    try:
        first = Path("/proc/cpuinfo").read_text().partition("\n\n")[0]
    except OSError:
        first = ""
    lines = dict(line.replace("\t", "").partition(":")[::2] for line in first.splitlines())
    names = ("model name", "cpu family", "model", "stepping")
    return " ".join(lines[name].strip() for name in names if name in lines) or platform.machine()
