"""Folders uploaded to the Hugging Face hub."""

from pathlib import Path

from hidden_context.errors import UserError
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
