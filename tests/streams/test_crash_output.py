"""What is written when nobody caught something: through the log, or cleared on stderr."""

import subprocess
import sys

import pytest

from tests.e2e.scene import ROOT

BEGIN = """
import logging, resource, sys, threading
from connectors.known_secrets import remember
from streams import crash_output, log_output
crash_output.listen()
remember("planted-secret")
assert resource.getrlimit(resource.RLIMIT_CORE)[0] == 0
"""
ENDINGS = {
    "the main thread": "raise RuntimeError('planted-secret')",
    "a thread": "t = threading.Thread(target=lambda: {}['planted-secret']); t.start(); t.join()",
    "a finalizer": "class One:\n    def __del__(self): raise OSError('planted-secret')\nOne()",
    "a URL": "raise RuntimeError('postgresql://me:other-word@host/db failed')",
    "a token": "raise RuntimeError('Authorization: Bearer abcdefghijklmnop')",
}


@pytest.mark.parametrize("logged", [True, False])
@pytest.mark.parametrize("what", ENDINGS)
def test_whatever_ends_it_tells_no_secret(what: str, logged: bool) -> None:
    set_up = "log_output.set_up('json')\n" if logged else ""
    done = subprocess.run(
        [sys.executable, "-c", BEGIN + set_up + ENDINGS[what]],
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "Error" in done.stderr
    for secret in ("planted-secret", "other-word", "abcdefghijklmnop"):
        assert secret not in done.stderr
    assert done.stdout == ""
    if logged:
        assert '"action": "crashed"' in done.stderr
