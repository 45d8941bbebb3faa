"""`export` and `merge` as commands: what they print, refuse, and upload."""

from collections.abc import Callable
from pathlib import Path

import pytest
from test_docs import command_lines
from tiny_models import save_tiny_model
from upload_stand_in import hub_stand_in

from hidden_context.commands.cli import main
from hidden_context.records import write_jsonl

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Trained by the command."""
    folder = tmp_path_factory.mktemp("export")
    save_tiny_model(folder / "tiny")
    rows = [{"prompt": f"{n}? ", "chosen": "flour", "rejected": f"sand {n}"} for n in range(8)]
    write_jsonl(folder / "pairs.jsonl", rows)
    data, model = f"--data_path={folder / 'pairs.jsonl'}", f"--model_name={folder / 'tiny'}"
    family, out = "--reward_model_type=mean_and_variance", f"--output_dir={folder / 'rm'}"
    assert main(["train", data, model, family, out, "--test_size=2"]) == 0
    return folder / "rm"


def test_a_checkpoint_is_exported_merged_and_uploaded(
    checkpoint: Path, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
):
    status, printed, _ = run("export", checkpoint, "--out", tmp_path / "scalar")
    assert status == 0
    assert f"saved {tmp_path / 'scalar'}: mean of mean_and_variance" in printed
    with hub_stand_in(monkeypatch) as hub:
        native = ("--to", "native", "--push_to_hub", "me/native", "--private")
        status, printed, _ = run("export", checkpoint, *native, "--out", tmp_path / "native")
        assert status == 0
        assert f"uploaded {hub.address}/me/native" in printed
        assert hub.private == {"me/native": True}
    status, printed, _ = run("merge", checkpoint, "--out", tmp_path / "merged")
    assert (status, "a checkpoint of family mean_and_variance" in printed) == (0, True)
    status, _, error = run("merge", tmp_path / "merged", "--out", tmp_path / "again")
    assert (status, "has no adapters" in error) == (2, True)


def test_wrong_requests_are_one_line(checkpoint: Path, tmp_path: Path, run: Run):
    for arguments, said in (
        (("--out", checkpoint), f"--out {checkpoint} is what checkpoint reads"),
        (("--out", tmp_path / "a", "--risk", "cvar:0.05"), "is not linear in the outputs"),
        (("--out", tmp_path / "a", "--risk", "mediam"), "risk 'mediam' is not understood"),
        (("--out", tmp_path / "a", "--to", "gguf"), "gguf"),
        ((checkpoint, "--out", tmp_path / "a"), "2 checkpoints were given; give one"),
        ((), "--out"),
    ):
        status, _, error = run("export", checkpoint, *arguments)
        assert status == 2
        assert said in error
    status, _, error = run("export", tmp_path / "nothing", "--out", tmp_path / "a")
    assert (status, "neither a folder nor the name of a hub repository" in error) == (2, True)
    assert not list(tmp_path.iterdir())


def test_the_commands_of_the_document_run(
    checkpoint: Path, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    Path("rm").symlink_to(checkpoint)
    Path("pairs.jsonl").symlink_to(checkpoint.with_name("pairs.jsonl"))
    ran = []
    with hub_stand_in(monkeypatch):
        for program, *arguments in command_lines("docs/export.md"):
            if program == "hidden-context":
                assert run(*arguments)[0] == 0, arguments
                ran.append(arguments[0])
    assert set(ran) == {"export", "merge", "train"}
