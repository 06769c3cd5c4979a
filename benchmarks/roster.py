"""Who takes part: contenders by the name that the command line gives them."""

import sys
from collections.abc import Callable
from typing import Final

from benchmarks.contender import Contender
from benchmarks.contenders import python_peers
from benchmarks.contenders.parallel_consumer import ParallelConsumer
from benchmarks.contenders.reference import Reference
from benchmarks.contenders.us import Us
from benchmarks.stage import Options

US, REFERENCE = "us", "reference"
MAKERS: Final[dict[str, Callable[[], Contender]]] = {
    REFERENCE: Reference,
    "faust": python_peers.faust,
    "faststream": python_peers.faststream,
    "pyrallel": python_peers.pyrallel,
    "parallel-consumer": ParallelConsumer,
}
PEERS: Final = tuple(name for name in MAKERS if name != REFERENCE)
PYTHON_PEERS: Final = tuple(name for name in PEERS if name != "parallel-consumer")
NAMES: Final = (US, *MAKERS)


def contenders(options: Options, *, peers: bool) -> list[Contender]:
    """Those that take part in a case, moment-sync first. `peers`: whether the case has any."""
    wanted = options.contenders or (US, REFERENCE, *(options.peers if peers else ()))
    return [us(options) if name == US else MAKERS[name]() for name in NAMES if name in wanted]


def us(options: Options, **given: object) -> Us:
    """moment-sync's worker; with `options.profile` it samples its own stacks into that file."""
    if options.profile is not None:
        given["command"] = (
            sys.executable,
            "-m",
            "benchmarks.sampled_worker",
            str(options.profile),
        )
    return Us(**given)  # type: ignore[arg-type]  # passed through
