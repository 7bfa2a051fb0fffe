"""Programs that break one bound each, to show that the sandbox notices."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from pathlib import Path


def well_behaved(args: list[str], prog_name: str) -> None:
    Path("report.txt").write_text("good", encoding="utf-8")
    print("done")
    sys.exit(1)


def raising(args: list[str], prog_name: str) -> None:
    raise ValueError("nobody caught this")


def hanging(args: list[str], prog_name: str) -> None:
    time.sleep(60)


def computing(args: list[str], prog_name: str) -> None:
    while True:
        pass


def growing(args: list[str], prog_name: str) -> None:
    held = []
    while True:
        held.append(bytearray(os.urandom(1)) * (64 << 20))


def peaking(args: list[str], prog_name: str) -> None:
    bytearray(b"x") * (1100 << 20)


def writing(args: list[str], prog_name: str) -> None:
    (Path.cwd().parent / "canary.txt").write_text("changed", encoding="utf-8")


def writing_through_a_link(args: list[str], prog_name: str) -> None:
    Path("link").symlink_to(Path.cwd().parent / "elsewhere")
    Path("link").write_text("through", encoding="utf-8")


def removing(args: list[str], prog_name: str) -> None:
    (Path.cwd().parent / "canary.txt").unlink()


def renaming(args: list[str], prog_name: str) -> None:
    Path("mine").write_text("mine", encoding="utf-8")
    os.replace("mine", Path.cwd().parent / "moved")


def starting(args: list[str], prog_name: str) -> None:
    subprocess.run(["true"], check=True)


def shelling(args: list[str], prog_name: str) -> None:
    os.system("true")


def executing(args: list[str], prog_name: str) -> None:
    (Path.cwd().parent / "executed").touch()


def forking(args: list[str], prog_name: str) -> None:
    if not os.fork():
        os._exit(0)
    os.wait()


def calling(args: list[str], prog_name: str) -> None:
    address = (Path.cwd().parent / "address.txt").read_text(encoding="utf-8")
    socket.create_connection(("127.0.0.1", int(address.rpartition(":")[2]))).close()


def unpickling(args: list[str], prog_name: str) -> None:
    import pickle

    pickle.loads(b"cos\ngetcwd\n(tR.")


def colouring(args: list[str], prog_name: str) -> None:
    print("\x1b[2Jgone")


def crashing(args: list[str], prog_name: str) -> None:
    os.abort()


def chattering(args: list[str], prog_name: str) -> None:
    for _ in range(100_000):
        print("the same line again")
