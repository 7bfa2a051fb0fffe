"""Runs commands on hostile files, each in a process of its own, and says which bound it broke.

``Sandbox`` starts one server, this file as a program, which imports everything heavy. For each command the server forks
a child that calls ``refsr_bench.cli.main``. Forking is safe because the server has a single thread: no pool of torch,
OpenMP or Arrow starts before the first computation.

The child is watched from within by an audit hook, which Python calls for every open, start of a process, connection and
so on, and from without: by time, by memory, and by traps beside the case's folder.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import io
import json
import os
import pkgutil
import resource
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from hostile.case import ADDRESS, CANARY, EXECUTED, Case

SECONDS = 10
MOST_MEMORY = 1 << 30  # bytes that one command may take on top of the loaded program
LONGEST_WAIT = 60  # seconds by the clock, for a command that works all the time on a machine that is busy with others
RUNAWAY = 16 << 30  # bytes of address space: an allocation beyond it fails at once instead of filling the machine
OUTPUT = 200_000  # bytes of output that are looked at; a longer message is a fault
PACKAGES = ("refsr_bench", "leaderboard", "c2matching", "baselines")
MAIN = "refsr_bench.cli:main"
LAST = "peak of memory: "  # the last note of a child that ended by itself


@dataclass(frozen=True)
class Outcome:
    """What a command did. faults: the bounds that it broke, in words; none for good behaviour. exit: None if killed.

    memory: bytes that it took at most on top of the loaded program. seconds: by the clock.
    """

    exit: int | None
    output: str
    seconds: float
    memory: int
    faults: tuple[str, ...]


# -- for tests -----------------------------------------------------------------------------------------------------


class Sandbox:
    """A server that runs commands. Use it as a context manager."""

    def __enter__(self) -> Sandbox:
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, sys.path))
        self._server = subprocess.Popen(
            [sys.executable, "-B", __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, text=True
        )
        self._root = Path(tempfile.mkdtemp(prefix="hostile-"))
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._address = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        return self

    def __exit__(self, *error: object) -> None:
        self._server.stdin.close()
        self._server.wait()
        self._listener.close()
        shutil.rmtree(self._root, ignore_errors=True)

    def judge(self, case: Case) -> tuple[Outcome, list[str]]:
        """Run one case. Returns what happened and every fault, also those of exit code and message."""
        with self._place() as place:
            outcome = self._run(place, case.make(place / "case"), MAIN)
        wrong = list(outcome.faults)
        if outcome.exit is not None and outcome.exit not in case.exits:
            wrong.append(f"exit code {outcome.exit}, expected one of {case.exits}")
        if case.names not in outcome.output:
            wrong.append(f"the message does not name {case.names!r}")
        return outcome, wrong

    def run(self, words: Sequence[str], main: str = MAIN, seconds: float = SECONDS) -> Outcome:
        """Run the words of a command in an empty folder. main: ``module:function`` to call instead of the program's."""
        with self._place() as place:
            return self._run(place, list(words), main, seconds)

    @contextlib.contextmanager
    def _place(self) -> Iterator[Path]:
        """Make the folder of a case with the traps beside it, and remove it afterwards."""
        place = Path(tempfile.mkdtemp(dir=self._root))
        for name in ("case", "tmp", "home"):
            (place / name).mkdir()
        (place / CANARY).write_text("unchanged", encoding="utf-8")
        (place / ADDRESS).write_text(self._address, encoding="utf-8")
        try:
            yield place
        finally:
            for folder, _, _ in os.walk(place):
                os.chmod(folder, 0o700)
            shutil.rmtree(place)

    def _run(self, place: Path, words: list[str], main: str, seconds: float = SECONDS) -> Outcome:
        before = _traps(place)
        request = {"place": str(place), "words": words, "main": main, "seconds": seconds}
        self._server.stdin.write(json.dumps(request) + "\n")
        self._server.stdin.flush()
        answer = json.loads(self._server.stdout.readline())
        faults = answer["faults"]
        if (place / EXECUTED).exists():
            faults.append("code of the input was executed")
        elif _traps(place) != before:
            faults.append("something beside the case's folder was changed")
        while select.select([self._listener], [], [], 0)[0]:
            self._listener.accept()[0].close()
            faults.append("a connection was made")
        output = answer["output"]
        if "Traceback (most recent" in output:
            faults.append("traceback")
        if odd := sorted({char for char in output if not (char.isprintable() or char in "\n\u200b") and char != " "}):
            faults.append(f"control characters in the output: {odd}")
        if len(output) >= OUTPUT:
            faults.append("endless output")
        return Outcome(answer["exit"], output, answer["seconds"], answer["memory"], tuple(faults))


def _traps(place: Path) -> list[tuple[str, str]]:
    """Return names and digests of everything beside the folders that the command may fill."""
    found = []
    for path in sorted(place.iterdir()):
        content = path.read_bytes() if path.is_file() and not path.is_symlink() else b""
        found.append((path.name, hashlib.sha256(content).hexdigest()))
    return found


# -- the server ----------------------------------------------------------------------------------------------------


def serve() -> None:
    """Answer requests on standard input until it ends: one line of JSON for each."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what an import prints is no answer
    _load()
    for line in sys.stdin:
        answers.write(json.dumps(_one(**json.loads(line))) + "\n")
        answers.flush()


def _load() -> None:
    """Import everything that commands import, so that a child begins at once and its memory counts from there."""
    import gc

    import faiss
    import filelock  # noqa: F401
    import jsonschema  # noqa: F401
    import matplotlib.pyplot  # noqa: F401
    import pandas  # noqa: F401
    import rich.progress
    import rich.table  # noqa: F401
    import safetensors.torch  # noqa: F401
    import torch
    import torchvision.ops  # noqa: F401
    from PIL import Image

    Image.preinit()
    with contextlib.suppress(ImportError):  # an extra
        import spandrel  # noqa: F401
    torch.set_num_threads(1)
    faiss.omp_set_num_threads(1)
    for name in PACKAGES:
        package = importlib.import_module(name)
        for info in pkgutil.walk_packages(package.__path__, f"{name}."):
            if not info.name.endswith("__main__"):
                importlib.import_module(info.name)
    gc.freeze()  # a collection in a child would copy every page of the program


def _one(place: str, words: list[str], main: str, seconds: float) -> dict[str, object]:
    """Fork a child for one command, wait for its end or put an end to it, and tell what happened."""
    with tempfile.TemporaryFile() as said, tempfile.TemporaryFile() as seen:
        before, began = _memory("self")["RssAnon"], time.monotonic()
        child = os.fork()
        if not child:
            _child(Path(place), words, main, said.fileno(), seen.fileno())
        faults, status, memory = _watch(child, before, seconds)
        took = time.monotonic() - began
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child, signal.SIGKILL)  # processes that it left behind
        said.seek(0)
        seen.seek(0)
        notes = seen.read().decode(errors="replace").splitlines()
        output = said.read(OUTPUT).decode(errors="backslashreplace")
    if notes and notes[-1].startswith(LAST):
        memory = max(memory, int(notes.pop().removeprefix(LAST)) - before)
    if memory > MOST_MEMORY:
        faults.append(f"more than {MOST_MEMORY >> 20} MiB of memory")
    killed = os.WIFSIGNALED(status)
    if killed and not faults:
        faults.append(f"died of signal {os.WTERMSIG(status)}")
    return {
        "exit": None if killed else os.waitstatus_to_exitcode(status),
        "output": output,
        "seconds": took,
        "memory": memory,
        "faults": [*faults, *sorted(set(notes))],
    }


def _watch(child: int, before: int, seconds: float) -> tuple[list[str], int, int]:
    """Wait for the child; kill it when it takes too long or too much. Returns faults, exit status and peak memory."""
    began, pause, peak = time.monotonic(), 0.002, 0
    while True:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return [], status, peak
        time.sleep(pause)
        pause = min(pause * 1.2, 0.03)
        peak = max(peak, _memory(child)["RssAnon"] - before)
        gone = time.monotonic() - began
        late = gone > seconds and (gone > LONGEST_WAIT or not _busy(child, seconds))
        if late or peak > MOST_MEMORY:
            os.kill(child, signal.SIGKILL)
            return [f"no end after {seconds:g} seconds"] if late else [], os.waitpid(child, 0)[1], peak


def _busy(process: int, seconds: float) -> bool:
    """Tell whether the process waits for a processor alone and has had less than its time of one."""
    about = Path(f"/proc/{process}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    used = (int(about[11]) + int(about[12])) / os.sysconf("SC_CLK_TCK")
    return about[0] == "R" and used < seconds


def _memory(process: int | str) -> Counter[str]:
    """Return the memory of a process in bytes, by the kernel's names: RssAnon, RssFile, VmHWM ...; 0 after its end."""
    with contextlib.suppress(OSError):
        lines = Path(f"/proc/{process}/status").read_text(encoding="utf-8").splitlines()
        sizes = (line.split() for line in lines if line.endswith(" kB"))
        return Counter({name.rstrip(":"): int(size) * 1024 for name, size, _ in sizes})
    return Counter()


# -- the child -----------------------------------------------------------------------------------------------------


def _child(place: Path, words: list[str], main: str, said: int, seen: int) -> None:
    """Become a command of its own that starts in the case's folder, under the hook. Never returns."""
    code = 70
    try:
        os.setsid()
        os.chdir(place / "case")
        limit = _memory("self")["VmSize"] + RUNAWAY
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        _settle(place)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(said, 1)
        os.dup2(said, 2)
        sys.stdout, sys.stderr = _stream(1, "strict"), _stream(2, "backslashreplace")
        sys.argv = ["refsr-bench", *words]
        module, _, function = main.partition(":")
        call = getattr(importlib.import_module(module), function)
        sys.addaudithook(Watcher([place / name for name in ("case", "tmp", "home")], seen))
        code = _exit_code(call, words)
        memory = _memory("self")  # files are mapped and shared; what the program took is the rest
        os.write(seen, f"{LAST}{memory['VmHWM'] - memory['RssFile']}\n".encode())
    finally:
        os._exit(code)


def _stream(number: int, errors: str) -> io.TextIOWrapper:
    """Return standard output or error as Python makes them for UTF-8."""
    return io.TextIOWrapper(os.fdopen(number, "wb", closefd=False), "utf-8", errors, write_through=True)


def _settle(place: Path) -> None:
    """Point the environment at the folders of the case: a home without settings, and a folder for temporary files."""
    for name in [name for name in os.environ if name.startswith(("REFSR", "XDG_", "TORCH_"))]:
        del os.environ[name]
    os.environ.update(HOME=str(place / "home"), TMPDIR=str(place / "tmp"), COLUMNS="120")
    tempfile.tempdir = None


def _exit_code(call, words: list[str]) -> int:
    import traceback

    try:
        call(args=words, prog_name="refsr-bench")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 0 if end.code is None else 1
    except BaseException:
        traceback.print_exc()
        return 70
    finally:
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(Exception):
                stream.flush()
    return 0


STARTS = {"subprocess.Popen", "pty.spawn", *(f"os.{name}" for name in ("exec", "system", "posix_spawn", "spawn"))}
STARTS |= {"os.fork", "os.forkpty"}
CALLS = {f"socket.{name}" for name in ("connect", "sendto", "bind", "getaddrinfo", "gethostbyname")}
WEIGHTS = "https://download.pytorch.org/models/"  # the one address that a measurement asks: for the network of LPIPS
CHANGES = {  # events that change names, with the positions of the paths that they change
    **dict.fromkeys(("os.remove", "os.rmdir", "os.mkdir", "os.truncate", "os.chmod", "os.chown", "os.utime"), (0,)),
    **dict.fromkeys(("os.rename",), (0, 1)),
    **dict.fromkeys(("os.link", "os.symlink"), (1,)),
    **dict.fromkeys(("os.setxattr", "os.removexattr", "shutil.rmtree"), (0,)),
}
FOLLOWS = {"os.truncate", "os.chmod", "os.chown", "os.utime"}
UNPICKLED = {"numba", "numpy", "llvmlite", "builtins", "_codeop"}  # numba keeps compiled code in pickles of its own
HARMLESS = (os.devnull, "/proc/self/clear_refs")  # the latter resets the kernel's count of this process's memory
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


class Watcher:
    """The audit hook: notes each start of a process, connection, unpickled object and change outside ``allowed``.

    It only notes, so that a program that swallows exceptions is found out too. seen: the file of the notes. There is no
    network, so that the weights of LPIPS cannot be had, which is no fault.
    """

    def __init__(self, allowed: Sequence[Path], seen: int) -> None:
        self._allowed = tuple(f"{os.path.realpath(path)}{os.sep}" for path in allowed)
        self._seen = seen

    def __call__(self, event: str, args: tuple) -> None:
        if event == "urllib.Request" and args[0].startswith(WEIGHTS):
            raise OSError("this machine has no network")
        if event in STARTS:
            self._note(f"a process was started ({event}: {args[:2]!r:.200})")
        elif event in CALLS:
            self._note(f"the network was used ({event}: {args[-1]!r:.200})")
        elif event == "pickle.find_class" and args[0].partition(".")[0] not in UNPICKLED:
            self._note(f"{args[0]}.{args[1]} was unpickled")
        elif event == "open" and args[2] & WRITES:
            self._check(args[0], not args[2] & (os.O_NOFOLLOW | os.O_EXCL), event)
        elif event in CHANGES:
            for position in CHANGES[event]:
                self._check(args[position], event in FOLLOWS, event)

    def _check(self, path: object, follows: bool, event: str) -> None:
        if isinstance(path, int) or os.fsdecode(path) in HARMLESS:
            return
        path = os.path.abspath(os.fsdecode(path))
        folder, name = os.path.split(path)
        real = os.path.realpath(path) if follows else os.path.join(os.path.realpath(folder), name)
        if not f"{real}{os.sep}".startswith(self._allowed):
            self._note(f"{event} outside the case's folder: {real}")

    def _note(self, text: str) -> None:
        os.write(self._seen, text.encode("utf-8", "backslashreplace").replace(b"\n", b" ") + b"\n")


if __name__ == "__main__":
    serve()
