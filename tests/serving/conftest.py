"""A small checkpoint, and servers of it on loopback."""

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
import torch
from tiny_models import tiny_model

from hidden_context.distributions import Family, Normal
from hidden_context.llm.backbone import load_backbone, load_tokenizer
from hidden_context.llm.checkpoint import save_record
from hidden_context.llm.reward_model import RewardModel
from hidden_context.llm.scoring_options import ScoringOptions
from hidden_context.serving.options import ServingOptions
from hidden_context.serving.server import address_of, bound_socket, serve

TEMPLATE = (
    "{{ bos_token }}{% for m in messages %}{{ m['role'] + ': ' + m['content'] + eos_token }}"
    "{% endfor %}"
)


class Client(httpx2.Client):
    """Of a server in a thread."""

    server: Any = None


Serving = Callable[..., AbstractContextManager[Client]]


def save_model(folder: Path, family: Family[Any]) -> Path:
    """A checkpoint with random weights, a chat template, and a tokenizer that adds BOS."""
    from tokenizers.processors import TemplateProcessing

    backbone = str(tiny_model("llama"))
    torch.manual_seed(1)
    model = load_backbone(backbone, family.num_outputs, dtype=torch.float32)
    for weight in model.parameters():
        torch.nn.init.normal_(weight, std=0.3)
    model.save_pretrained(folder)
    tokenizer = load_tokenizer(backbone)
    special = [("<s>", tokenizer.convert_tokens_to_ids("<s>"))]
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(
        single="<s> $A", special_tokens=special
    )
    tokenizer.chat_template = TEMPLATE
    tokenizer.save_pretrained(folder)
    save_record(folder, family=family, model_name=str(folder))
    return folder


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_model(tmp_path_factory.mktemp("serving") / "rm", Normal())


def load(folder: Path) -> RewardModel:
    return RewardModel.from_pretrained(folder, device="cpu", dtype=torch.float32)


@pytest.fixture(scope="session")
def offline(checkpoint: Path) -> RewardModel:
    """The same weights, scored without a server."""
    return load(checkpoint)


@pytest.fixture
def make_model() -> Callable[[Path, Family[Any]], RewardModel]:
    return lambda folder, family: load(save_model(folder, family))


@pytest.fixture(scope="session")
def serving(checkpoint: Path) -> Serving:
    """Serve a model in a thread; yields a client of it, whose answers need not come at once."""

    @contextmanager
    def run(
        model: RewardModel | None = None,
        *,
        token: str | None = None,
        reading: ScoringOptions | None = None,
        **options: Any,
    ) -> Iterator[Client]:
        bound = bound_socket(ServingOptions(port=0))
        address = address_of(bound)
        servers: list[Any] = []
        failed: list[BaseException] = []
        started = threading.Event()

        def work() -> None:
            try:
                serve(
                    model or load(checkpoint),
                    ServingOptions(**options),
                    reading=reading,
                    token=token,
                    bound=bound,
                    on_start=lambda server: (servers.append(server), started.set()),
                )
            except BaseException as error:
                failed.append(error)
            started.set()

        thread = threading.Thread(target=work)
        thread.start()
        assert started.wait(60)
        if failed:
            thread.join()
            raise failed[0]
        try:
            with Client(base_url=address, timeout=60) as client:
                client.server = servers[0]
                yield client
        finally:
            servers[0].should_exit = True
            thread.join()
        assert not failed, failed

    return run


@pytest.fixture(scope="session")
def client(serving: Serving) -> Iterator[Client]:
    """Of a server with the defaults, which all tests share."""
    with serving() as client:
        yield client
