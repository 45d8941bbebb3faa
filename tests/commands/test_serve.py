"""`hidden-context serve` as a process: it says where it is, and a signal loses nothing accepted."""

import builtins
import os
import signal
import socket
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
import pytest
import torch
from tiny_models import tiny_model

from hidden_context.commands.serve import main
from hidden_context.distributions import Normal
from hidden_context.llm.adapters import with_adapters
from hidden_context.llm.backbone import load_backbone
from hidden_context.llm.checkpoint import save_record
from hidden_context.llm.reward_model import RewardModel

TEXTS = [f"Human: {number}? Assistant: " + "a long answer, " * 60 for number in range(24)]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("serve") / "rm"
    backbone = str(tiny_model("llama"))
    torch.manual_seed(1)
    model = with_adapters(load_backbone(backbone, 2, dtype=torch.float32))
    for weight in model.parameters():
        if weight.requires_grad:
            torch.nn.init.normal_(weight, std=0.3)
    model.save_pretrained(folder)
    save_record(folder, family=Normal(), model_name=backbone)
    return folder


@pytest.mark.parametrize(
    ("number", "status", "said"),
    [
        (signal.SIGTERM, 143, "stopped by SIGTERM"),
        pytest.param(signal.SIGINT, 130, "interrupted", marks=pytest.mark.slow),
        pytest.param(signal.SIGHUP, 129, "stopped by SIGHUP", marks=pytest.mark.slow),
    ],
)
def test_a_signal_in_the_middle_loses_no_accepted_answer(
    checkpoint: Path,
    start: Callable[..., Any],
    tmp_path: Path,
    number: signal.Signals,
    status: int,
    said: str,
):
    """Every text that was accepted before the signal is answered, and rightly, before the end."""
    token, out, err = (tmp_path / name for name in ("token", "out", "err"))
    token.write_text("s3cret\n")
    flags = ["--port=0", "--risk=lcb:1", f"--token_file={token}"]
    process = start(["serve", checkpoint, *flags], err, stdout=out)
    with ThreadPoolExecutor(len(TEXTS)) as pool:
        try:
            while not (out.exists() and (line := out.read_text()).endswith("\n")):
                assert process.exitcode is None, err.read_text()
                time.sleep(0.01)
            assert line.startswith("rm (mean_and_variance, lcb:1) answers on http://127.0.0.1:")
            shown = {"Authorization": "Bearer s3cret"}
            with httpx2.Client(base_url=line.split()[-1], timeout=60, headers=shown) as client:
                before = answers(client, pool, process, number)
            process.join(timeout=60)
        finally:
            process.kill()
    assert (process.exitcode, err.read_text()) == (status, f"{said}\n")
    assert out.read_text() == line
    found = np.array([np.nan if each is None else each for each in before["answers"]])
    expected = RewardModel.from_pretrained(checkpoint).reward(TEXTS, risk="lcb:1")
    answered = ~np.isnan(found)
    assert answered.sum() >= before["accepted"] > 0
    np.testing.assert_allclose(found[answered], np.array(expected)[answered], atol=1e-5)


def answers(client: Any, pool: Any, process: Any, number: signal.Signals) -> dict[str, Any]:
    """What was accepted when the signal was sent, and the answers; None where there was none."""

    def ask(text: str) -> float | None:
        try:
            response = client.post("/classify", json={"input": text})
        except httpx2.TransportError:
            return None
        assert response.status_code == 200
        return response.json()["data"][0]["probs"][0]

    asked = [pool.submit(ask, text) for text in TEXTS]
    with httpx2.Client(base_url=client.base_url, timeout=60) as other:
        while not (accepted := other.get("/health").json()["accepted"]):
            time.sleep(0.002)
    os.kill(process.pid, number)
    return {"accepted": accepted, "answers": [each.result() for each in asked]}


def refused(capsys: pytest.CaptureFixture[str], *flags: str) -> str:
    assert main(list(flags)) == 2
    return capsys.readouterr().err


def test_mistakes_are_one_line_before_the_model_is_loaded(
    checkpoint: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(RewardModel, "load_in_turn", lambda *_, **__: 1 / 0)
    rm = str(checkpoint)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        said = refused(capsys, rm, f"--port={port}")
        assert f"cannot listen on 127.0.0.1 port {port}: Address already in use" in said
    assert "give one" in refused(capsys, rm, rm)
    assert "risk 'cvar' is not understood" in refused(capsys, rm, "--risk=cvar")
    assert "train family shared_context" in refused(capsys, rm, "--risk=worst_context")
    assert "no such file" in refused(capsys, rm, f"--token_file={tmp_path / 'none'}")
    (tmp_path / "empty").write_text("\n")
    assert "holds no token" in refused(capsys, rm, f"--token_file={tmp_path / 'empty'}")
    assert "give at least 1 text" in refused(capsys, rm, "--queue_size=0")
    assert "give 0 to 1000" in refused(capsys, rm, "--max_wait_ms=nan")
    assert "give up to 1024" in refused(capsys, rm, "--max_body_mb=0")
    assert "give 0 to 65535" in refused(capsys, rm, "--port=70000")
    assert "invalid choice: 'drop'" in refused(capsys, rm, "--overlong=drop")
    assert "no model" in refused(capsys, str(tmp_path))


def test_without_the_extra_the_command_says_what_to_install(
    checkpoint: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    real = builtins.__import__

    def without(name: str, *rest: Any, **how: Any) -> Any:
        if name == "fastapi":
            raise ModuleNotFoundError("No module named 'fastapi'", name="fastapi")
        return real(name, *rest, **how)

    monkeypatch.setattr(builtins, "__import__", without)
    said = refused(capsys, str(checkpoint))
    assert 'serving needs fastapi, which is not installed; install it: pip install "hidden' in said
