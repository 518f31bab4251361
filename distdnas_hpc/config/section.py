"""What every part of the config is made of: refused unknown keys, days, and keys with one value or several."""

from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict

T = TypeVar("T")


class Section(BaseModel):
    """A part of the config: unknown keys are refused, values are never changed after reading."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)


def _parse_days(value: Any) -> Any:
    """Read days as a list [1, 2, 5], a number, or text such as '1-4' or '1-4,6'."""
    if type(value) is int:
        return (value,)
    if not isinstance(value, str):
        return value
    days: list[int] = []
    for part in value.split(","):
        first, _, last = part.strip().partition("-")
        if not first.isdigit() or (last and not last.isdigit()):
            raise ValueError(f"days are written like '1-4' or '1-4,6', not '{value}'")
        days.extend(range(int(first), int(last or first) + 1))
    return tuple(days)


def _check_days(days: tuple[int, ...]) -> tuple[int, ...]:
    if not days:
        raise ValueError("at least one day is needed")
    if len(set(days)) < len(days):
        raise ValueError("a day is named twice")
    if min(days) < 1:
        raise ValueError("days are numbered from 1 (Criteo's file day_0 is day 1)")
    return tuple(sorted(days))


Days = Annotated[tuple[int, ...], BeforeValidator(_parse_days), AfterValidator(_check_days)]


def _check_values(values: tuple[Any, ...]) -> tuple[Any, ...]:
    if not values:
        raise ValueError("at least one value is needed")
    if len({f"{value:g}" for value in values}) < len(values):  # as names of files and tasks have them
        raise ValueError("a value stands twice")
    return values


OneOrMore = Annotated[
    tuple[T, ...],
    BeforeValidator(lambda value: (value,) if isinstance(value, int | float) else value),
    AfterValidator(_check_values),
]
"""A number, or a list of different ones in the order that tables show them."""
