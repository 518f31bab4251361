"""The whole experiment as one typed, validated tree, read from YAML.

Every default is the paper's setting (§V-A) where the paper states one. Relative paths are taken from the working
directory of the command, as in a shell, and are frozen as absolute ones in the run folder.
"""

from distdnas_hpc.config.cluster import Cluster, Slurm
from distdnas_hpc.config.data import SCHEMAS, Data, DayColumn, Schema
from distdnas_hpc.config.experiment import Config
from distdnas_hpc.config.model import Checkpoint, Model, Optimizer
from distdnas_hpc.config.planted import Parts, Planted
from distdnas_hpc.config.reading import load_config
from distdnas_hpc.config.search import Cost, Search, Temperature
from distdnas_hpc.config.section import Days, Section
from distdnas_hpc.config.study import Strategy, Study
from distdnas_hpc.config.train import Train

__all__ = [
    "SCHEMAS",
    "Checkpoint",
    "Cluster",
    "Config",
    "Cost",
    "Data",
    "DayColumn",
    "Days",
    "Model",
    "Optimizer",
    "Parts",
    "Planted",
    "Schema",
    "Search",
    "Section",
    "Slurm",
    "Strategy",
    "Study",
    "Temperature",
    "Train",
    "load_config",
]
