"""What a benchmark ends with: a line of JSON a claim."""
# ruff: noqa: T201

import json


def claim(text: str, value: float | None, unit: str, target: float, met: bool | None) -> None:
    """Print one claim; `met` is None, and so is the value, when it could not be measured (`text` says why)."""
    number = None if value is None else round(value, 2)
    print(json.dumps({"claim": text, "value": number, "unit": unit, "target": target, "met": met}))
