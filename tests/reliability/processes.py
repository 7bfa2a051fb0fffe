"""Commands of the program in processes of their own, which can be killed and hindered.

Starting Python with torch takes seconds, which a test of hundreds of kills cannot wait for. So one process imports
everything, computes nothing, and forks a child for each command, which runs ``refsr_bench.cli.main`` as a shell would.

A ``Hindrance`` says what happens to a child. Its moments are counted in events: each opening of a file for writing,
renaming, removing, linking, making of a folder and flushing to the disk below the child's folder is one, reported by
Python's audit hooks just before it happens.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Self

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 300  # seconds after which a command counts as hanging; the longest takes ten on a loaded machine
PREPARED = (
    *("torch", "torchvision", "numpy", "scipy.ndimage", "cv2", "PIL.Image", "pandas", "matplotlib.figure", "jinja2"),
    *("matplotlib.backends.backend_agg", "matplotlib.backends.backend_svg", "faiss", "filelock", "tensorboard"),
    *("refsr_bench.cli", "refsr_bench.evaluation.session", "refsr_bench.sweeps.session", "refsr_bench.data.prepare"),
    *("refsr_bench.builder.queries", "refsr_bench.builder.pool.folders", "refsr_bench.builder.clean"),
    *("refsr_bench.builder.rescale", "refsr_bench.builder.export.files", "refsr_bench.builder.selection.decisions"),
    *("refsr_bench.study.serve", "refsr_bench.study.prepare", "refsr_bench.learning.training.trainer"),
    *("leaderboard.pages.site", "refsr_bench.evaluation.predictors", "c2matching.training", "lpips", "rich.progress"),
)
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT
CHANGES = ("os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.link", "os.truncate")


@dataclass(frozen=True)
class Hindrance:
    """What happens to a command.

    event: the number, from 1, of the event before which it happens; 0 for never. number: of the signal that the process
    then gets, 0 for none. torn: a flush that is hit so leaves only the beginning of what was written since the last
    one, as a power cut does. gone: the folder that then vanishes, "" for none: it is removed, or renamed if ``away``.
    clock: seconds by which Python's clock is off. file_limit: largest size of a file in bytes, 0 for any.
    """

    event: int = 0
    number: int = 0
    torn: bool = False
    gone: str = ""
    away: bool = False
    clock: float = 0.0
    file_limit: int = 0


NONE = Hindrance()


class Child:
    """A command under way. output: what it has printed so far, both streams."""

    def __init__(self, pid: int, started: Starter, log: Path) -> None:
        self.pid, self._starter, self._log = pid, started, log
        self._code: int | None = None

    @property
    def output(self) -> str:
        return self._log.read_text(encoding="utf-8", errors="replace") if self._log.exists() else ""

    @property
    def events(self) -> int:
        """The number of events of a command that came to its end."""
        return int(self._log.with_suffix(".events").read_text())

    def running(self) -> bool:
        if self._code is None:
            self._code = self._starter.ask({"poll": self.pid})
        return self._code is None

    def wait(self) -> int:
        """Return the exit code, minus the signal's number for a killed one. A command that hangs is killed."""
        end = time.monotonic() + PATIENCE
        while self.running():
            if time.monotonic() > end:
                self.kill(signal.SIGKILL)
            time.sleep(0.002)
        return self._code

    def kill(self, number: int) -> None:
        if self.running():
            os.killpg(self.pid, number)


class Starter:
    """A process that has imported the program and forks the commands. seed: of the order of its sets and dicts."""

    def __init__(self, logs: Path, seed: int = 0) -> None:
        environment = os.environ | {"PYTHONHASHSEED": str(seed), "PYTHONPATH": os.pathsep.join((str(ROOT), *sys.path))}
        environment |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MPLBACKEND": "Agg"}
        # Nothing is downloaded, so a machine's network and its cache of weights change nothing.
        environment |= {"TORCH_HOME": str(logs / "torch"), "https_proxy": "http://127.0.0.1:9"}
        self._logs, self._count = logs, 0
        logs.mkdir(parents=True, exist_ok=True)
        self._process = subprocess.Popen(
            [sys.executable, __file__], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._process.stdin.close()
        self._process.wait(PATIENCE)
        self._process.stdout.close()

    def ask(self, request: dict[str, Any]) -> Any:
        print(json.dumps(request), file=self._process.stdin, flush=True)
        return json.loads(self._process.stdout.readline())

    def start(self, words: Sequence[str], folder: Path, hindrance: Hindrance = NONE) -> Child:
        """Start ``refsr-bench WORDS`` in a folder."""
        self._count += 1
        log = self._logs / f"{self._process.pid}-{self._count}.txt"
        request = {"words": list(words), "folder": str(folder), "log": str(log), "hindrance": asdict(hindrance)}
        return Child(self.ask(request), self, log)


# -- in the process that starts commands ---------------------------------------------------------------------------


def _serve() -> None:
    for name in PREPARED:
        __import__(name)
    from refsr_bench.core import catalogue

    for kind in ("METHODS", "DATASETS", "METRICS", "PROTOCOLS", "MATCHERS"):
        catalogue.collect(kind)
    answers = os.dup(1)  # what an import or a command prints is no answer
    os.dup2(2, 1)
    for line in sys.stdin:
        request = json.loads(line)
        if "ready" in request:
            answer = True
        elif "poll" in request:
            pid, status = os.waitpid(request["poll"], os.WNOHANG)
            answer = os.waitstatus_to_exitcode(status) if pid else None
        else:
            answer = os.fork()
            if not answer:
                _become(request)
        os.write(answers, json.dumps(answer).encode() + b"\n")


def _become(request: dict[str, Any]) -> None:
    """Run a command in this process and end it."""
    log = os.open(request["log"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
    code: Any = 1
    try:
        os.setsid()
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(log, 1)
        os.dup2(log, 2)
        os.chdir(request["folder"])
        sys.argv = ["refsr-bench", *request["words"]]
        counted = _hinder(Path(request["folder"]), Hindrance(**request["hindrance"]))
        from refsr_bench.cli import main

        try:
            main(prog_name="refsr-bench")
        except SystemExit as ended:
            code = ended.code
        code = 0 if code is None else code if isinstance(code, int) else 1
        Path(request["log"]).with_suffix(".events").write_text(str(counted()))
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code if isinstance(code, int) else 1)


def _hinder(folder: Path, hindrance: Hindrance) -> Callable[[], int]:
    """Prepare what shall happen to this process; return a function that tells how many events there were."""
    if hindrance.clock:
        _set_clock(hindrance.clock)
    if hindrance.file_limit:
        resource.setrlimit(resource.RLIMIT_FSIZE, (hindrance.file_limit, hindrance.file_limit))
    count = 0
    real_fsync, sizes = os.fsync, {}

    def passed(handle: int | None = None) -> None:
        nonlocal count
        count += 1
        if count == hindrance.event:
            _happen(hindrance, handle, sizes)

    def heard(event: str, arguments: tuple) -> None:
        if event == "open":
            path, _, flags = arguments
            if not isinstance(path, int) and flags & WRITING and _below(folder, path):
                passed()
        elif event in CHANGES and (_below(folder, arguments[0]) or arguments[-1] != -1):
            passed()

    def fsync(handle: int) -> None:
        passed(handle)
        real_fsync(handle)
        about = os.fstat(handle)
        sizes[about.st_dev, about.st_ino] = about.st_size

    sys.addaudithook(heard)
    os.fsync = fsync
    return lambda: count


def _happen(hindrance: Hindrance, handle: int | None, sizes: dict[tuple[int, int], int]) -> None:
    if hindrance.torn and handle is not None:
        about = os.fstat(handle)
        flushed = sizes.get((about.st_dev, about.st_ino), 0)
        if os.path.isfile(f"/proc/self/fd/{handle}") and about.st_size > flushed:
            os.truncate(f"/proc/self/fd/{handle}", (flushed + about.st_size) // 2)
    if hindrance.gone:
        os.rename(hindrance.gone, hindrance.gone + ".away")  # at once, while other threads go on writing
        if not hindrance.away:
            shutil.rmtree(hindrance.gone + ".away")
    if hindrance.number:
        os.kill(os.getpid(), hindrance.number)


def _below(folder: Path, path: Any) -> bool:
    try:
        return Path(os.path.abspath(os.fsdecode(path))).is_relative_to(folder)
    except (TypeError, OSError):  # a handle, or a working folder that has vanished
        return False


def _set_clock(seconds: float) -> None:
    """Shift the clock for everything that asks Python for it."""

    class Shifted(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> datetime:
            return datetime.fromtimestamp(time.time(), tz)

    real, gmtime, localtime = time.time, time.gmtime, time.localtime
    time.time = lambda: real() + seconds
    time.time_ns = lambda: int(time.time() * 1e9)
    time.gmtime = lambda at=None: gmtime(time.time() if at is None else at)
    time.localtime = lambda at=None: localtime(time.time() if at is None else at)
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] in ("refsr_bench", "leaderboard", "c2matching", "datetime"):
            for key, value in list(vars(module).items()):
                if value is datetime:
                    setattr(module, key, Shifted)


if __name__ == "__main__":
    _serve()
