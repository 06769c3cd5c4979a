"""A command's time and peak memory: `python -m benchmarks.measured_command COMMAND…`.

A small process of its own starts it, since a child's peak counts from that of its parent. Prints
`seconds megabytes` and ends as the command does.
"""

import os
import resource
import subprocess
import sys
import time

KIBIBYTES_A_MEGABYTE = 1_000_000 / 1024


def main() -> int:
    """Run the command with its output thrown away."""
    begun = time.monotonic()
    done = subprocess.run(sys.argv[1:], check=False, stdout=subprocess.DEVNULL)  # noqa: S603 - ours
    seconds = time.monotonic() - begun
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / KIBIBYTES_A_MEGABYTE
    os.write(sys.stdout.fileno(), f"{seconds} {peak}\n".encode())
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())
