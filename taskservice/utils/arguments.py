"""Command lines; nothing but the standard library is imported, so that `run.py` can use it before it installs."""

import argparse
from typing import NoReturn


class Parser(argparse.ArgumentParser):
    """An argument parser that reports an error in one line, without the usage."""

    def error(self, message: str) -> NoReturn:
        """Print the message and exit with code 2."""
        self.exit(2, f"{self.prog}: {message}\n")
