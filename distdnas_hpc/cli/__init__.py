"""The `distdnas` command: thin, one function a command.

Importing a module of commands registers them, in the order of `distdnas --help`.
"""

import sys

# isort: off
from distdnas_hpc.cli import whole as _whole, parts as _parts, jobs as _jobs, models as _models, inside as _inside  # noqa: F401
# isort: on

from distdnas_hpc.cli.app import app, tell_error
from distdnas_hpc.errors import UserError


def main() -> None:
    """Run the command; it ends with 0 (fine), 1 (work failed or was stopped) or 2 (wrong use)."""
    try:
        app()
    except UserError as error:
        tell_error(str(error))
        sys.exit(2)
