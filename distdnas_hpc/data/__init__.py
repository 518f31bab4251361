"""Raw day → ids → HDF5 day shards → batches. Knows nothing of models."""
