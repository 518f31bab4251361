"""`python -m distdnas_hpc` is the `distdnas` command."""

from distdnas_hpc.cli import main

if __name__ == "__main__":
    main()
