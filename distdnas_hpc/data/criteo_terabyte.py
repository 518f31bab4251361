"""What is published about Criteo Terabyte, for those who have not prepared it."""

CARDINALITIES = (
    *(39884406, 39043, 17289, 7420, 20263, 3, 7120, 1543, 63, 38532951, 2953546, 403346, 10),
    *(2208, 11938, 155, 4, 976, 14, 39979771, 25641295, 39664984, 585935, 12972, 108, 36),
)
"""Distinct values of C1 to C26 over all 24 days, tables capped at 40 million (the DLRM reference)."""

DENSE = 13
"""Integer columns."""
