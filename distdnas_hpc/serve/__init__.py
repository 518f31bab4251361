"""Trained models outside their runs: a folder that holds all a model needs, and probabilities for raw rows."""
