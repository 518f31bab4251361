"""DistDNAS on Slurm: search efficient feature interactions for click-through rates, one day a task."""

__version__ = "0.1.0"
