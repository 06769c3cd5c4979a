"""What is done once for the tests of secrets and of companies, to be looked at from all sides."""

import os
import signal
import urllib.request

from streams.local.guarded import GuardedProcess
from tests.security import loud_worker
from tests.security.planted import GuardedOffice, Planted

LONG_S = 60.0  # for what a busy machine does while every log is on


class Story:
    """What was done once, and everything that came of it."""

    def __init__(self, scene: Planted, office: GuardedOffice, worker: GuardedProcess) -> None:
        self.scene = scene
        self.office = office
        self.worker = worker
        self.pages = ""

    def tell(self) -> None:
        scene = self.scene
        first = [scene.send(scene.first(tenant)) for tenant in scene.tenants]
        for event in first:
            scene.outcome(event, "applied", seconds=LONG_S)
        scene.echo()
        for tenant in scene.tenants:
            scene.send(scene.bill(tenant))
        scene.wire.wait(scene.all_met, "every answer was given", LONG_S)
        scene.wire.wait(lambda: scene.wire.letters or None, "something is dead", LONG_S)
        scene.wire.wait(self._held, "something is held", LONG_S)
        scene.wire.wait(lambda: len(self.office.mails) > 2 or None, "mails were sent", LONG_S)
        web = scene.settings["WEB"]
        for page in ("metrics", "healthz", "readyz"):
            with urllib.request.urlopen(f"http://{web}/{page}", timeout=10) as answer:
                self.pages += answer.read().decode()
        words = "\n".join(scene.secrets().values())
        (scene.directory / "last-words.txt").write_text(words)
        self._asked(signal.SIGUSR1, "objects")
        self._asked(signal.SIGUSR2, "frames")

    def _held(self) -> bool | None:
        return any(one.kind == "held" for one in self.scene.wire.told) or None

    def _asked(self, number: int, answer: str) -> None:
        os.kill(self.worker.pid, number)
        done = self.scene.directory / loud_worker.DONE

        def look() -> bool | None:
            assert self.worker.exit_code is None
            return True if done.exists() and done.read_text() == answer else None

        self.scene.wire.wait(look, f"the worker tells its {answer}", LONG_S)
