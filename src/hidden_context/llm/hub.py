"""Folders uploaded to the Hugging Face hub."""

import os
from pathlib import Path

from hidden_context.errors import UserError
from hidden_context.hub import endpoint, why_unreachable
from hidden_context.llm.training_settings import TrainingSettings
from hidden_context.records import brief


def push_folder(
    folder: Path, repository: str, *, private: bool | None = None, token: str | None = None
) -> str:
    """Upload a folder to a repository, which is made if it is not there; returns its address.

    Raises:
        UserError: The hub refuses, or cannot be reached.
    """
    import httpx2
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError

    api = HfApi(token=token)
    try:
        address = api.create_repo(repository, private=private, exist_ok=True)
        api.upload_folder(
            repo_id=address.repo_id,
            folder_path=folder,
            commit_message="Upload of a reward model by hidden-context",
        )
    except (HfHubHTTPError, httpx2.HTTPError, OSError, ValueError) as error:
        raise UserError(
            f"{repository} cannot be uploaded to {api.endpoint}: {brief(error)}"
        ) from error
    return str(address)


def check_push(folder: Path, settings: TrainingSettings) -> None:
    """Refuse an upload that would fail for certain, before the model is trained.

    Raises:
        UserError: The repository has no possible name, there is no token, or the hub cannot be
            reached.
    """
    if not _pushes(settings):
        return
    from huggingface_hub import get_token
    from huggingface_hub.utils import HFValidationError, validate_repo_id

    repository = _repository(folder, settings)
    try:
        validate_repo_id(repository)
    except HFValidationError as error:
        raise UserError(
            f"{repository} is not a name of a repository on the hub; give hub_model_id OWNER/NAME."
        ) from error
    if not (settings.hub_token or get_token()):
        raise UserError(
            "push_to_hub needs a token of the hub: log in with hf auth login, or set HF_TOKEN in "
            "the environment."
        )
    if (reason := why_unreachable()) is not None:
        raise UserError(
            f"push_to_hub uploads to {endpoint()}, which cannot be reached ({reason}); leave it "
            "out, and upload the checkpoint later."
        )


def push_trained(folder: Path, settings: TrainingSettings) -> str | None:
    """Upload a finished checkpoint where that is wished; returns the address of the repository.

    Of several processes the first alone does.

    Raises:
        UserError: See `push_folder`; the checkpoint is left as it is.
    """
    if not _pushes(settings):
        return None
    try:
        return push_folder(
            folder,
            _repository(folder, settings),
            private=settings.hub_private_repo,
            token=settings.hub_token,
        )
    except UserError as error:
        raise UserError(
            f"{error}; the checkpoint is saved in {folder}: to upload it, run the same again with "
            "resume_from_checkpoint, which trains nothing more."
        ) from error


def _pushes(settings: TrainingSettings) -> bool:
    return settings.push_to_hub and os.environ.get("RANK", "0") == "0"


def _repository(folder: Path, settings: TrainingSettings) -> str:
    return settings.hub_model_id or folder.name
