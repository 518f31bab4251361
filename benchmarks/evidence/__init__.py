"""What docs/evidence.md claims, from studies to its tables."""
