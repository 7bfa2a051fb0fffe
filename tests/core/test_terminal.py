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


@pytest.mark.parametrize("installed", [True, False])
def test_a_notebook_shows_a_bar_if_it_has_the_package_for_it(monkeypatch: pytest.MonkeyPatch, installed: bool) -> None:
    shown = []

    class Bar:
        def __init__(self, *columns: object, console: object, disable: bool) -> None:
            shown.append(not disable)

        def __enter__(self) -> "Bar":
            return self

        def __exit__(self, *error: object) -> None: ...

        def add_task(self, *words: object, **options: object) -> int:
            return 0

        def update(self, *words: object, **options: object) -> None: ...

    monkeypatch.setattr("rich.progress.Progress", Bar)
    monkeypatch.setattr("rich.console._is_jupyter", lambda: True)
    monkeypatch.setattr(terminal, "find_spec", lambda name: installed or None)
    assert list(terminal.tracked([1, 2], 0, 2, "pairs")) == [1, 2]
    assert shown == [installed]
