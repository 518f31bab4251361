"""Numbers of days as people write them."""

from collections.abc import Sequence


def days_in_words(days: Sequence[int]) -> str:
    """Write sorted days with stretches put together: 'day 3', 'days 1–4 and 6'; '' for none."""
    if not days:
        return ""
    stretches: list[list[int]] = []
    for day in days:
        if stretches and day == stretches[-1][-1] + 1:
            stretches[-1].append(day)
        else:
            stretches.append([day])
    words = [str(part[0]) if len(part) == 1 else f"{part[0]}–{part[-1]}" for part in stretches]
    listed = " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)
    return f"{'day' if len(days) == 1 else 'days'} {listed}"
