"""Whole windows of lines at once, against the slow reader and the parser of single lines; unusual lines anywhere."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from distdnas_hpc.data.parser import parse
from distdnas_hpc.data.usual_lines import WINDOW
from tests.data.click_logs import assert_equal, slow_rows

UNUSUAL = {
    "nine digits": "1\t123456789\t-5\t0000000a\t\tFFFFFFFF\n",
    "carriage return": "1\t1\t\t0000000a\t\tFFFFFFFF\r\n",
    "zeros in front": "0\t00000000001\t-000000000007\t0000000a\t\t\n",
}
FAULTY = {
    "field less": "1\t1\t2\t0000000a\t0000000b\n",
    "field more": "1\t1\t2\t\t\t\t\n",
    "sign alone": "1\t-\t2\t\t\t\n",
    "sign behind": "1\t1-\t2\t\t\t\n",
    "label": "2\t1\t2\t\t\t\n",
    "long label": "11\t1\t2\t\t\t\n",
    "no label": "\t1\t2\t\t\t\n",
    "digit": "1\t1:\t2\t\t\t\n",
    "hexadecimal": "1\t1\t2\t0000000g\t\t\n",
    "token of seven": "1\t1\t2\t0000000\t\t\n",
    "token of nine": "1\t1\t2\t000000000\t\t\n",
    "empty line": "\n",
    "tabs of another line": "1\t1\n2\t\t\t\t\t\t\t\n",
}


def lines(n: int, seed: int = 1) -> list[str]:
    """Lines of the usual form with every number of digits, signs and missing values."""
    rng = np.random.default_rng(seed)
    rows = []
    for _ in range(n):
        digits, sign, missing = rng.integers(1, 9, 2), rng.random(2) < 0.2, rng.random(5) < 0.2
        integers = [f"{'-' * int(s)}{rng.integers(10**d)}"[:8] for d, s in zip(digits, sign, strict=True)]
        tokens = [f"{rng.integers(2**32):08{'xX'[rng.integers(2)]}}" for _ in range(3)]
        fields = ["" if m else value for m, value in zip(missing, integers + tokens, strict=True)]
        rows.append("\t".join([str(rng.integers(2)), *fields]) + "\n")
    return rows


def parsed(text: str):
    return parse(np.frombuffer(text.encode(), np.uint8), text.count("\n"), 2, 3, 1000)


@given(st.integers(0, 2**32 - 1), st.integers(1, 300))
@settings(deadline=None, max_examples=40)
def test_lines_of_the_usual_form(seed, n):
    text = "".join(lines(n, seed))
    rows, faulty = parsed(text)
    assert len(faulty) == 0
    assert_equal(rows, slow_rows(text, 2))


def test_windows_meet_between_lines():
    text = "".join(lines(8000))
    assert len(text) > 3 * WINDOW
    rows, _ = parsed(text)
    assert_equal(rows, slow_rows(text, 2))


@pytest.mark.parametrize("place", [0, 1, 7, 1999, 3999])
@pytest.mark.parametrize("line", UNUSUAL.values(), ids=UNUSUAL)
def test_a_line_of_another_form_is_read_all_the_same(line, place):
    every = lines(4000)
    every[place] = line
    rows, faulty = parsed("".join(every))
    assert len(faulty) == 0
    assert_equal(rows, slow_rows("".join(every).replace("\r", ""), 2))


@pytest.mark.parametrize("place", [0, 1, 7, 1999, 3999])
@pytest.mark.parametrize("fault", FAULTY.values(), ids=FAULTY)
def test_a_faulty_line_is_found_and_the_others_are_read(fault, place):
    every = lines(4000)
    good = every[:place] + every[place + 1 :]
    every[place] = fault
    text = "".join(every)
    rows, faulty = parsed(text)
    assert_equal(rows, slow_rows("".join(good), 2))
    assert "".join(text[begin : end + 1] for _, begin, end in faulty.tolist()) == fault
    assert faulty[0, 0] == place
