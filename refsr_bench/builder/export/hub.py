"""Publishes an export as a data set repository on the Hugging Face Hub."""

from __future__ import annotations

from typing import Any

from refsr_bench import __version__
from refsr_bench.builder.export.pairs import finished, pictures
from refsr_bench.builder.project import Project
from refsr_bench.builder.rows import UNKNOWN
from refsr_bench.core.commands import command
from refsr_bench.core.errors import BenchError, Misuse
from refsr_bench.core.lists import some


def push(project: Project, repository: str, public: bool = False, api: Any = None) -> str:
    """Upload ``export/``, to a private repository unless ``public``, and return the address of its page.

    The upload is refused while an image's licence is unknown or not among the project's licences, unless the export is
    by reference. api: a ``huggingface_hub.HfApi``. Raises Misuse when refused, and BenchError when the Hub refuses.
    """
    folder = project.path / "export"
    if not (folder / "README.md").is_file():
        first = command("build", "wrsr", "export", project.path)
        raise Misuse(f"{project.path}: nothing to publish yet. Export first: {first}")
    if not (folder / "references.csv").is_file():
        _check_open(project)
    if api is None:
        from huggingface_hub import HfApi

        api = HfApi()
    try:
        api.create_repo(repository, repo_type="dataset", private=not public, exist_ok=True)
        api.upload_folder(
            folder_path=str(folder),
            repo_id=repository,
            repo_type="dataset",
            commit_message=f"{project.settings.title}, made with refsr-bench {__version__}",
        )
    except (OSError, ValueError) as error:  # HTTP errors are OSErrors, bad names are ValueErrors
        raise BenchError(f"{repository}: the Hub refused ({error}). Log in first: hf auth login") from None
    return f"https://huggingface.co/datasets/{repository}"


def _check_open(project: Project) -> None:
    shown = pictures(finished(project))
    closed = [p for p in shown if p.row.license not in project.settings.licenses]
    if closed:
        named = some([f"{p.file} ({p.row.license or UNKNOWN})" for p in closed])
        raise Misuse(
            f"{len(closed)} images may not be redistributed, as far as the tables say: {named}. State their licences "
            "(--facts), leave them out, or export with --by-reference."
        )
