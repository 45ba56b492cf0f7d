#!/usr/bin/env python3
"""The project's commands: ``./run.py serve``, ``./run.py test`` and the tools beside them (scripts/commands.py).

Old Pythons read this file too, 2.7 and 3.8 among them, so it has nothing that they could not read.
"""
import sys

if sys.version_info < (3, 11):
    sys.exit("run.py: needs Python 3.11 or newer, and this is %d.%d" % sys.version_info[:2])

from scripts.commands import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
