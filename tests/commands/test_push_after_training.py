"""`train --push_to_hub`: the finished checkpoint is uploaded once, and a failure loses nothing."""

import os
import runpy
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from test_train_evaluate_score import make_rows
from tiny_models import tiny_model
from upload_stand_in import hub_stand_in

import hidden_context as hc
from hidden_context.errors import UserError
from hidden_context.llm.hub import push_trained
from hidden_context.llm.training_settings import TrainingSettings
from hidden_context.records import write_jsonl

Run = Callable[..., tuple[int, str, str]]
PUBLISHED = "hidden_context.train_llm_preference_model"


@pytest.fixture
def flags(tmp_path: Path) -> list[str]:
    """Of a short run that ends in the folder rm."""
    write_jsonl(tmp_path / "data.jsonl", make_rows(4, "helpful", 1))
    out, data = f"--output_dir={tmp_path / 'rm'}", f"--data_path={tmp_path / 'data.jsonl'}"
    return ["train", f"--model_name={tiny_model()}", data, out, "--use_peft=false"]


def contents(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def test_a_finished_checkpoint_is_uploaded_once(
    tmp_path: Path, flags: list[str], run: Run, monkeypatch: pytest.MonkeyPatch
):
    with hub_stand_in(monkeypatch) as hub:
        more = ("--push_to_hub", "--hub_model_id=me/rm", "--hub_private_repo", "--save_steps=1")
        monkeypatch.delenv("HF_TOKEN")
        status, out, error = run(*flags, *more, f"--hub_token={hub.token}")
        assert status == 0, error
        assert f"saved {tmp_path / 'rm'}\nuploaded {hub.address}/me/rm\n" in out
        assert hub.commits == ["me/rm"]
        assert hub.private == {"me/rm": True}
    saved = contents(tmp_path / "rm")
    assert {name: hub.files[f"me/rm/{name}"] for name in hub.names("me/rm")} == saved
    assert not any(hub.token.encode() in content for content in saved.values())


def test_the_published_name_uploads_under_the_name_of_the_folder(
    flags: list[str], monkeypatch: pytest.MonkeyPatch
):
    with hub_stand_in(monkeypatch) as hub:
        monkeypatch.setattr("sys.argv", ["python", *flags[1:], "--push_to_hub"])
        with pytest.raises(SystemExit) as end:
            runpy.run_module(PUBLISHED, run_name="__main__")
        assert end.value.code == 0
        assert hub.commits == ["me/rm"]


def test_a_failed_upload_loses_nothing(
    tmp_path: Path, flags: list[str], run: Run, monkeypatch: pytest.MonkeyPatch
):
    push = [*flags, "--push_to_hub", "--hub_model_id=me/rm"]
    with hub_stand_in(monkeypatch) as hub:
        status, out, error = run(*push, "--hub_token=hf_wrong")
        assert status == 2
        assert f"saved {tmp_path / 'rm'}" in out
        assert "error: me/rm cannot be uploaded to http://127" in error
        assert f"the checkpoint is saved in {tmp_path / 'rm'}: to upload it, run the same" in error
        before = contents(tmp_path / "rm")
        assert hub.commits == []
        status, out, error = run(*push, "--resume_from_checkpoint")
        assert status == 0, error
        assert f"uploaded {hub.address}/me/rm" in out
        assert hub.commits == ["me/rm"]
    assert contents(tmp_path / "rm") == before
    hc.RewardModel.from_pretrained(tmp_path / "rm")


def test_a_program_uploads_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    data = hc.load_comparisons(make_rows(4, "helpful", 1))
    train = {"model": str(tiny_model()), "output_dir": tmp_path / "rm", "use_peft": False}
    push = {"push_to_hub": True, "hub_model_id": "me/rm"}
    with hub_stand_in(monkeypatch) as hub:
        with pytest.raises(UserError, match="run the same again with resume_from_checkpoint"):
            hc.train(data, **train, **push, hub_token="hf_wrong")
        hc.train(data, **train, **push, resume_from_checkpoint=True)
        assert hub.commits == ["me/rm"]


def test_only_the_first_process_uploads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "rm").mkdir()
    (tmp_path / "rm" / "config.json").write_text("{}")
    settings = TrainingSettings(push_to_hub=True, hub_model_id="me/rm")
    with hub_stand_in(monkeypatch) as hub:
        monkeypatch.setenv("RANK", "1")
        assert push_trained(tmp_path / "rm", settings) is None
        assert hub.commits == []
        monkeypatch.setenv("RANK", "0")
        assert push_trained(tmp_path / "rm", settings) == f"{hub.address}/me/rm"
        assert hub.commits == ["me/rm"]


@pytest.mark.slow
def test_two_processes_upload_once(flags: list[str], monkeypatch: pytest.MonkeyPatch):
    launch = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node=2"]
    launch += ["--rdzv_backend=c10d", "--rdzv_endpoint=127.0.0.1:0", "-m", PUBLISHED]
    push = ["--push_to_hub", "--hub_model_id=me/rm"]
    with hub_stand_in(monkeypatch) as hub:
        environment = {**os.environ, "HF_ENDPOINT": hub.address, "HF_HUB_DISABLE_XET": "1"}
        environment["HF_HUB_OFFLINE"] = "0"  # other tests of this process may have said otherwise
        done = subprocess.run(
            [*launch, *flags[1:], *push],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
        assert done.returncode == 0, done.stderr[-2000:]
        assert done.stdout.count(f"uploaded {hub.address}/me/rm") == 1
        assert hub.commits == ["me/rm"]


def test_what_would_fail_for_certain_is_refused_before_training(
    tmp_path: Path, flags: list[str], run: Run, monkeypatch: pytest.MonkeyPatch
):
    with hub_stand_in(monkeypatch) as hub:
        status, _, error = run(*flags, "--push_to_hub", "--hub_model_id=me/my/rm")
        assert (status, "me/my/rm is not a name of a repository on the hub" in error) == (2, True)
        monkeypatch.setattr("huggingface_hub.get_token", lambda: None)
        status, _, error = run(*flags, "--push_to_hub")
        assert (status, "push_to_hub needs a token of the hub" in error) == (2, True)
        assert not hub.private
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:1")
    status, _, error = run(*flags, "--push_to_hub", "--hub_token=hf_secret")
    assert (status, "http://127.0.0.1:1, which cannot be reached" in error) == (2, True)
    assert not (tmp_path / "rm").exists()
