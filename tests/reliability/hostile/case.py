"""One hostile input, and the traps around its folder that show whether it got out.

A case gets an empty folder, which is also the working folder of its command. Beside that folder lie a file that must
stay as it is (``canary``) and the address of a port that nobody may call (``address``).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

CANARY, EXECUTED, ADDRESS = "canary.txt", "executed", "address.txt"


@dataclass(frozen=True)
class Case:
    """One hostile input. make(folder): writes it below an empty folder, returns the words of the command line that
    meets it. names: text that the message must contain (usually the file's name); "" for none. exits: allowed exit
    codes.
    """

    name: str
    make: Callable[[Path], list[str]]
    names: str = ""
    exits: tuple[int, ...] = (1, 2)


def canary(folder: Path) -> Path:
    """Return the file beside a case's folder that must stay unchanged: the target of links and of names with '..'."""
    return folder.parent / CANARY


def executed(folder: Path) -> Path:
    """Return the file that a payload of this case makes if it runs; it does not exist yet."""
    return folder.parent / EXECUTED


def payload(folder: Path) -> str:
    """Return a Python expression that makes the file ``executed``."""
    return f"open({str(executed(folder))!r}, 'w').close()"


def address(folder: Path) -> str:
    """Return 'http://127.0.0.1:PORT', an address that the program must not call."""
    return (folder.parent / ADDRESS).read_text(encoding="utf-8")
