"""A worker that tells everything it can: every log at its lowest level, and itself when asked.

Started as a program in place of `moment-sync worker`. SIGUSR1: the stacks of all threads and the
`repr` of every live object of ours go to files in the working directory, uncleared. SIGUSR2: the
stacks of all tasks with all their locals go to the log, and a thread dies of an exception that
nobody catches, whose text holds whatever `LAST_WORDS` holds.
"""

import asyncio
import faulthandler
import gc
import logging
import os
import signal
import sys
import threading
import traceback
from pathlib import Path
from typing import Any

from streams import log_output
from streams.ops.cli import main

OURS = ("streams", "connectors", "schemas")
REPRS, STACKS, DONE = "reprs.txt", "stacks.txt", "done.txt"
log = logging.getLogger(__name__)
_set_up = log_output.set_up


def loud(form: str | None = None, **how: Any) -> None:
    _set_up(form, **how)
    for handler in logging.getLogger().handlers:
        handler.filters.clear()
    for name in ("", *log_output.QUIET):
        logging.getLogger(name).setLevel(1)


def tell_objects(*_: object) -> None:
    with Path(STACKS).open("w") as stacks:
        faulthandler.dump_traceback(stacks, all_threads=True)
    lines = []
    gc.unfreeze()  # also what was there when the worker began
    for one in gc.get_objects():
        if str(type(one).__module__).split(".")[0] in OURS:
            try:
                lines.append(repr(one))
            except Exception as error:
                lines.append(f"no repr: {error!r}")
    Path(REPRS).write_text("\n".join(lines), encoding="utf-8")
    Path(DONE).write_text("objects")


def tell_frames(*_: object) -> None:
    for task in asyncio.all_tasks():
        for frame in task.get_stack():
            held = [f"{name} = {value!r}" for name, value in frame.f_locals.items()]
            log.error("%s\n%s", frame, "\n".join(held), extra={"action": "frames"})
    for frame in sys._current_frames().values():
        told = traceback.StackSummary.extract(traceback.walk_stack(frame), capture_locals=True)
        log.error("%s", "".join(told.format()), extra={"action": "frames"})
    thread = threading.Thread(target=die)
    thread.start()
    thread.join()
    Path(DONE).write_text("frames")


def die() -> None:
    raise RuntimeError(Path("last-words.txt").read_text())


if __name__ == "__main__":
    log_output.set_up = loud
    faulthandler.enable()
    signal.signal(signal.SIGUSR1, tell_objects)
    signal.signal(signal.SIGUSR2, tell_frames)
    sys.argv = ["moment-sync", "worker"]
    os.environ.setdefault("PYTHONFAULTHANDLER", "1")
    main()
