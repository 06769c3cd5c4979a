"""Confluent Parallel Consumer in KEY order: Java, compiled here, its jars by jgo."""

import shutil
import subprocess
from pathlib import Path
from typing import Final

from benchmarks.contender import ContenderError, Plan, Running, environment_of
from benchmarks.environments import HOME, INSTALL_S, TAIL, UnavailableError
from benchmarks.events import company_id, token_of
from streams.local.guarded import GuardedProcess
from streams.local.kafka_node import KafkaUnavailableError, java_command

ARTIFACT: Final = "io.confluent.parallelconsumer:parallel-consumer-core:0.5.3.2"
SOURCE: Final = Path(__file__).with_name("ParallelConsumerWorker.java")
MEMORY: Final = "-Xmx1g"  # a thousand calls in flight take far less


class ParallelConsumer:
    """Confluent Parallel Consumer."""

    name = "parallel-consumer"
    guarantees = "order of each key, at least once; no dedupe, no ledger"

    def refusal(self) -> str | None:
        """Why it cannot be had here; gets its jars and compiles its worker where they are not."""
        try:
            _class_path()
        except UnavailableError as error:
            return str(error)
        return None

    def start(self, plan: Plan) -> Running:
        """Start it and wait until it has subscribed."""
        try:
            command = [*java_command(), MEMORY, "-cp", _class_path(), SOURCE.stem]
        except (UnavailableError, KafkaUnavailableError) as error:
            raise ContenderError(str(error)) from None
        plan.directory.mkdir(parents=True, exist_ok=True)
        tokens, ready = plan.directory / "tokens.properties", plan.directory / "ready"
        lines = (f"{company_id(n)}={token_of(n)}\n" for n in range(plan.companies))
        tokens.write_text("".join(lines), encoding="ascii")
        command += [plan.bootstrap, plan.prefix.rstrip("."), plan.input, plan.results]
        command += [plan.base_url, str(plan.in_flight), str(tokens), str(ready)]
        log = plan.directory / "worker.log"
        process = GuardedProcess(command, log=log, environment=environment_of(plan.environment))
        return Running([process], log).wait(ready.exists)


def _class_path() -> str:
    """The jars and our worker's class. Raises UnavailableError where they cannot be had."""
    compiler = shutil.which("javac")
    if compiler is None:
        raise UnavailableError("there is no javac here to compile its worker with")
    try:
        java_command()
        import jgo  # noqa: PLC0415  (optional: the extra `local`)

        jars = sorted(jgo.build(ARTIFACT).path.rglob("*.jar"))
    except KafkaUnavailableError as error:
        raise UnavailableError(str(error)) from None
    except Exception as error:  # whatever it meets, there is no peer without its jars
        raise UnavailableError(f"{type(error).__name__}: {error}") from error
    path = ":".join(str(jar) for jar in jars)
    classes = HOME / "parallel-consumer"
    compiled = classes / f"{SOURCE.stem}.class"
    if not compiled.exists() or compiled.stat().st_mtime < SOURCE.stat().st_mtime:
        classes.mkdir(parents=True, exist_ok=True)
        done = subprocess.run(  # noqa: S603 - our own source
            [compiler, "-cp", path, "-d", str(classes), str(SOURCE)],
            check=False,
            capture_output=True,
            text=True,
            timeout=INSTALL_S,
        )
        if done.returncode:
            raise UnavailableError(done.stderr.strip()[-TAIL:])
    return f"{path}:{classes}"
