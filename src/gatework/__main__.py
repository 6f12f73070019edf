"""Run the command line as ``python -m gatework`` or ``torchrun -m gatework``."""

from gatework.cli import main

if __name__ == "__main__":
    main()
