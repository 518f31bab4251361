"""Every speed claim as a command, `python -m benchmarks.NAME`, that measures its named peers in the same run."""
