"""Colours that mean something can be told apart, also by the colour-blind, in light and in dark."""

import itertools
import re

import numpy as np
import pytest

from distdnas_hpc.report.style import STYLE

BLOCKS = dict(zip(("light", "dark"), re.findall(r":root \{(.*?)\}", STYLE, re.DOTALL)))
COLOURS = {scheme: dict(re.findall(r"--(\w+): (#\w{6});", block)) for scheme, block in BLOCKS.items()}
SEEN = {
    "all cones": np.eye(3),
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}
"""Linear RGB as it is seen: Machado, Oliveira & Fernandes (2009), severity 1."""

XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
)


def lab(colour: str, seen: np.ndarray) -> np.ndarray:
    """CIE L*a*b* of #rrggbb, for somebody who sees so."""
    srgb = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    linear = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
    xyz = XYZ @ np.clip(np.asarray(seen) @ linear, 0, 1) / [0.95047, 1.0, 1.08883]
    f = np.where(xyz > (6 / 29) ** 3, np.cbrt(xyz), xyz / (3 * (6 / 29) ** 2) + 4 / 29)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def distance(one: str, other: str, seen) -> float:
    """The difference of two colours; 2.3 is just noticed, 10 seen at a glance."""
    return float(np.linalg.norm(lab(one, seen) - lab(other, seen)))


def test_known_differences():
    assert distance("#ffffff", "#000000", np.eye(3)) == pytest.approx(100, abs=0.1)
    assert distance("#ff0000", "#00ff00", np.eye(3)) == pytest.approx(170.6, abs=0.5)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("sight", SEEN)
def test_lines_and_sides_are_told_apart(scheme, sight):
    colours = COLOURS[scheme]
    for names in (("c1", "c2", "c3", "c4", "c5"), ("dense", "sparse")):
        for one, other in itertools.combinations(names, 2):
            told = distance(colours[one], colours[other], SEEN[sight])
            assert told > 15, f"{one} and {other}: {told:.1f}"
