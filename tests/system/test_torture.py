#!/usr/bin/python3
"""The short run of torture.py that belongs to every check."""

import sys

import torture
from harness import main

if __name__ == "__main__":
    print("# seed %d, %d rounds" % (torture.SEED, torture.ROUNDS))
    sys.exit(main([torture.killed_processes_lose_no_seat]))
