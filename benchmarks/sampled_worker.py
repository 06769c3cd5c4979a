"""A worker that looks at its own stacks: `python -m benchmarks.sampled_worker FILE [worker …]`.

Every stack is weighed by the processor time that its thread has used since the last look, in
microseconds, so that a thread that waits costs nothing. At its end, and on SIGUSR2 (which also
begins anew), it writes folded stacks to FILE: what flame graphs are drawn from.
"""

import atexit
import signal
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from types import FrameType
from typing import Final

INTERVAL_S: Final = 0.002
MICROSECONDS: Final = 1_000_000
PROJECT: Final = str(Path(__file__).parents[1])


class Sampler:
    """Counts stacks until it is written."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stacks: Counter[str] = Counter()

    def begin(self) -> None:
        """Sample from now on, in a thread of its own."""
        threading.Thread(target=self._run, name="sampler", daemon=True).start()

    def _run(self) -> None:
        me, spent = threading.get_ident(), dict[int, float]()
        while True:
            time.sleep(INTERVAL_S)
            frames = sys._current_frames()  # noqa: SLF001 - the only way to see them
            for thread in threading.enumerate():
                ident = thread.ident
                if ident is None or ident == me or ident not in frames:
                    continue
                now = time.clock_gettime(time.pthread_getcpuclockid(ident))
                used = int((now - spent.get(ident, now)) * MICROSECONDS)
                spent[ident] = now
                if used:
                    self._stacks[folded(frames[ident], thread.name)] += used

    def write(self, *_: object) -> None:
        """Write what was counted, most first, and begin anew."""
        stacks, self._stacks = self._stacks, Counter()
        lines = (f"{stack} {count}\n" for stack, count in stacks.most_common())
        fresh = self._path.with_suffix(".new")
        fresh.write_text("".join(lines), encoding="utf-8")
        fresh.replace(self._path)


def folded(frame: FrameType | None, thread: str) -> str:
    """A stack on one line, outermost first."""
    parts: list[str] = []
    while frame is not None:
        name = frame.f_code.co_filename.replace(f"{PROJECT}/", "")
        place = name.rpartition("site-packages/")[2] or name
        parts.append(f"{place}:{frame.f_code.co_qualname}")
        frame = frame.f_back
    return ";".join([thread, *reversed(parts)]).replace(" ", "_")


def main() -> None:
    """Run the command line of moment-sync with a sampler beside it."""
    sampler = Sampler(Path(sys.argv[1]))
    sys.argv = ["moment-sync", *(sys.argv[2:] or ["worker"])]
    signal.signal(signal.SIGUSR2, sampler.write)
    atexit.register(sampler.write)
    sampler.begin()
    from streams.ops.cli import main as command_line  # noqa: PLC0415 - after the sampler began

    command_line()


if __name__ == "__main__":
    main()
