"""Single-pass training and streaming evaluation."""
