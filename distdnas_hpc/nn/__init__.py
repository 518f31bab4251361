"""Embeddings, the ten interaction modules, choice blocks, networks, baselines, their cost."""
