"""What people see while a command works."""

import pytest

from refsr_bench.core import terminal


def test_steps_name_what_is_going_on_at_a_terminal(capsys: pytest.CaptureFixture, monkeypatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")  # rich then takes any stream for a terminal
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    with terminal.steps("reading", "restoring") as step:
        step()
        step()
    shown = capsys.readouterr()
    assert "2/2" in shown.err and shown.out == ""


def test_steps_print_nothing_to_a_file(capsys: pytest.CaptureFixture) -> None:
    with terminal.steps("reading") as step:
        step()
    assert capsys.readouterr() == ("", "")
