"""`moment-sync …` as a person runs it: a process a command, its exit code and what it says."""

import contextlib
import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

import msgspec

SERVER = Path(__file__).with_name("command_server.py")


class Done(msgspec.Struct, frozen=True):
    """A command that has ended."""

    code: int
    out: str
    err: str


class Commands:
    """Starts commands one at a time."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(SERVER)],
            env=dict(environment),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._line() == "ready"

    def run(
        self, words: tuple[str, ...], directory: Path, environment: Mapping[str, str], stdin: str
    ) -> Done:
        with contextlib.ExitStack() as stack:
            names = ("stdin", "stdout", "stderr")
            files = [stack.enter_context(tempfile.NamedTemporaryFile()) for _ in names]
            files[0].write(stdin.encode())
            files[0].flush()
            request = {
                "words": words,
                "directory": str(directory),
                "environment": dict(environment),
                **{name: file.name for name, file in zip(names, files, strict=True)},
            }
            assert self._process.stdin is not None
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
            code = int(self._line())
            out, err = (Path(file.name).read_text(encoding="utf-8") for file in files[1:])
        return Done(code, out, err)

    def close(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()

    def _line(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()
