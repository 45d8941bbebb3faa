"""`RewardModel`: a trained language model with the family that reads its outputs."""

import logging
import shutil
import tempfile
import warnings
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import combinations, compress
from pathlib import Path
from threading import Lock
from typing import Any, Self

import numpy as np
import torch

from hidden_context.comparisons.comparisons import Comparisons
from hidden_context.comparisons.pairs import response_lengths
from hidden_context.comparisons.responses import Candidates, read_responses
from hidden_context.comparisons.streamed import mapped
from hidden_context.comparisons.texts import Text, in_turns
from hidden_context.device import default_device, scoring_dtype
from hidden_context.distributions import Family, UtilityDistribution
from hidden_context.errors import UserError
from hidden_context.journal import identity
from hidden_context.likelihood.loss import DEFAULT_OUTCOME_MODEL
from hidden_context.likelihood.outcomes import OutcomeModel, check_num_grades, with_num_grades
from hidden_context.llm.backbone import longest_text, quietly
from hidden_context.llm.backbone_place import short_name
from hidden_context.llm.checkpoint import (
    CheckpointRecord,
    find_checkpoint,
    load_checkpoint,
    refusing_full_disks,
    save_record,
)
from hidden_context.llm.checkpoint_files import complete_checkpoint
from hidden_context.llm.checkpoint_marks import marks_of
from hidden_context.llm.given_texts import GivenText, whole_texts
from hidden_context.llm.hub import push_folder
from hidden_context.llm.merging import is_adapted, merged_copy
from hidden_context.llm.rendering import Render, date_of, example_line
from hidden_context.llm.saved_check import check_saved
from hidden_context.llm.score import Scorer
from hidden_context.llm.score_rows import OutputsOfRows, Rows, score_rows
from hidden_context.llm.scoring_options import ScoringOptions
from hidden_context.llm.tokens import tokenize
from hidden_context.llm.trained_prompts import TrainedPrompts, labels_of
from hidden_context.risk import check_supported, parse_risk
from hidden_context.scores.overlap import Overlap
from hidden_context.scores.row_texts import prompt_label
from hidden_context.scores.score_files import stopping_rule
from hidden_context.scores.scores import UNRECORDED, Scores, scores_of_comparisons
from hidden_context.shards import Shard

logger = logging.getLogger(__name__)
WEIGHTS = (
    *(".safetensors", ".bin", "config.json"),
    *("tokenizer.json", ".jinja", ".model", "vocab.json", "vocab.txt", "merges.txt"),
)
"""Ends of the names of files of a checkpoint that its scores depend on."""
OF_TRAINING = (
    "batching",
    "config",
    "counts",
    "history",
    "made_anew",
    "metrics",
    "reading",
    "training",
)
"""Fields of a checkpoint's record that say how it was trained."""


@dataclass(frozen=True, eq=False, repr=False)
class RewardModel:
    """A model that scores texts, and what its scores mean. It can be pickled.

    Threads that score with one model take turns: while it scores, its weights and attention change.
    """

    model: Any
    """Of transformers, in evaluation mode, on its device."""
    tokenizer: Any
    family: Family
    """How raw outputs are read."""
    model_name: str
    """The backbone that it was made from."""
    outcome_model: OutcomeModel = DEFAULT_OUTCOME_MODEL
    """How outcomes follow from utilities, as it was fitted with the weights."""
    name: str = ""
    """Of the checkpoint's folder."""
    folder: Path | None = None
    """The checkpoint, if it was loaded from one."""
    record: Mapping[str, Any] = field(default_factory=dict)
    """What the checkpoint says of its training: `config`, `metrics`, `history`, `counts`."""
    trained_prompts: TrainedPrompts | None = None
    """What it was trained on; None where the checkpoint does not say it."""
    _scorers: dict[ScoringOptions, Scorer] = field(default_factory=dict, init=False)
    """By options, with the batching that each has found to be exact."""
    _lock: Lock = field(default_factory=Lock, init=False)

    @classmethod
    def from_pretrained(
        cls,
        name: str | Path,
        *,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        model_name: str | None = None,
        tokenizer_name: str | None = None,
        num_outputs: int | None = None,
        reward_model_type: str | None = None,
        link: str | None = None,
    ) -> Self:
        """Load a checkpoint: one of this project, or a published one; see `find_checkpoint`.

        If not given, `device` is CUDA, else MPS, else the CPU, and `dtype`, of the weights,
        bfloat16 on CUDA devices that have it, else float32. The head of decoders is in float32 in
        any case. `tokenizer_name` is where the tokenizer is, if neither in the folder nor with the
        backbone.

        Raises:
            UserError: There is no such checkpoint, or what is given contradicts it.
        """
        checkpoint = find_checkpoint(
            str(name),
            model_name=model_name,
            num_outputs=num_outputs,
            reward_model_type=reward_model_type,
            link=link,
        )
        (loaded,) = cls.load_in_turn(
            [checkpoint], device=device, dtype=dtype, tokenizer_name=tokenizer_name
        )
        return loaded

    @classmethod
    def load_in_turn(
        cls,
        checkpoints: Sequence[CheckpointRecord],
        *,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        tokenizer_name: str | None = None,
    ) -> Iterator[Self]:
        """Load one checkpoint after another; adapters of one backbone share it.

        Each model must be done with before the next is asked for. See `from_pretrained`.
        """
        device = default_device() if device is None else torch.device(device)
        dtype = scoring_dtype(device, bf16=True) if dtype is None else dtype
        backbone, backbone_name = None, None
        for last, checkpoint in enumerate(checkpoints, start=1 - len(checkpoints)):
            shared = checkpoint.is_adapter and checkpoint.model_name == backbone_name
            backbone = backbone if shared else None  # a second one may not fit beside the first
            model, tokenizer = load_checkpoint(
                checkpoint, tokenizer_name=tokenizer_name, dtype=dtype, backbone=backbone
            )
            made_from = None if checkpoint.is_adapter else checkpoint.recorded.get("model_name")
            yield cls(
                model.to(device),
                tokenizer,
                checkpoint.family,
                made_from or checkpoint.model_name,
                checkpoint.outcome_model,
                checkpoint.folder.name,
                checkpoint.folder,
                checkpoint.recorded,
                TrainedPrompts.load(checkpoint.folder),
            )
            if checkpoint.is_adapter and last < 0:
                backbone, backbone_name = model.unload(), checkpoint.model_name

    def __repr__(self) -> str:
        return f"RewardModel({self.family}, made from {self.model_name}, on {self.model.device})"

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_scorers": {}, "_lock": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, _lock=Lock())

    def score(
        self,
        prompts: Sequence[GivenText],
        responses: Sequence[GivenText] | Sequence[Sequence[GivenText]] | None = None,
        *,
        progress: bool = False,
        **options: Any,
    ) -> UtilityDistribution:
        """Distributions of the utility of responses.

        Contexts that responses share are centred over the K responses to a prompt: without that
        their means and worst contexts could not be compared.

        Args:
            prompts: n texts, conversations (lists of messages with role and content), or token ids
                (scored as they are); whole texts if there are no responses.
            responses: One for each prompt, or a list of K for each.
            progress: Show a bar.
            options: See `ScoringOptions`; a warning says how many texts were cut.

        Returns:
            Shape `(n,)`, or `(n, K)`.

        Raises:
            UserError: A text cannot be read, or prompts have different numbers of responses.
        """
        options_given = ScoringOptions(**options)
        rows, several = self.whole_texts(prompts, responses, options_given)
        if options_given.overlong == "drop":
            raise UserError("a text that is left out has no utility; give another overlong.")
        outputs = self._outputs(
            rows,
            options_given,
            place=lambda row, text: f"prompt {row + 1}" + f", response {text + 1}" * several,
            progress=progress,
        )
        utility = self.family.decode(outputs.raw.astype(np.float64))
        if not several:
            return utility
        size = len(rows[0])
        if size > 1:
            utility = utility.centered(np.repeat(np.arange(len(rows)), size))
        return utility.reshape(len(rows), size)

    def whole_texts(
        self,
        prompts: Sequence[GivenText],
        responses: Sequence[GivenText] | Sequence[Sequence[GivenText]] | None,
        options: ScoringOptions,
    ) -> tuple[list[list[GivenText]], bool]:
        """What the model reads of prompts and responses: see `given_texts.whole_texts`."""
        vocabulary = len(self.model.get_input_embeddings().weight)
        render = self._render(options)
        return whole_texts(prompts, responses, vocabulary=vocabulary, render=render)

    def reward(
        self,
        prompts: Sequence[GivenText],
        responses: Sequence[GivenText] | Sequence[Sequence[GivenText]] | None = None,
        *,
        risk: str = "mean",
        progress: bool = False,
        **options: Any,
    ) -> list[Any]:
        """One number for each response, more being better: a list, or a list of lists of K.

        `risk` is how a distribution becomes a reward: see `hidden_context.risk`; all else is as in
        `score`.

        Raises:
            UserError: The family does not have this risk; or see `score`.
        """
        measure = parse_risk(risk)
        check_supported(measure, self.family)
        utility = self.score(prompts, responses, progress=progress, **options)
        return np.asarray(measure(utility)).tolist()

    def score_comparisons(
        self,
        comparisons: Comparisons,
        *,
        partial: Path | None = None,
        shard: Shard | None = None,
        is_saved: Callable[[str], bool] = lambda run: False,
        progress: bool = False,
        **options: Any,
    ) -> Scores:
        """Score both responses of all comparisons, a ranking being all its pairs.

        `record["counts"]` of the scores says how many texts were over-long, and how many
        comparisons were left out for it. A run that was killed goes on from the folder `partial`,
        by which several processes share the work too: each gives its own `shard`, such as
        `Shard.from_environment()`, and `is_saved` tells one that comes late whether the scores of a
        run (their `record["run"]`) are saved. See `score_rows`, and `ScoringOptions` for the
        options. `progress` shows a bar.

        Raises:
            UserError: A text cannot be read, none is short enough, or the comparisons have more
                strengths of preference than the model.
            UnmergedError: The share of this process is done, and another one has the scores.
        """
        first = next(iter(comparisons))
        check_num_grades(len(first.outcome.shares) // 2, self.outcome_model.num_grades)
        options_given = ScoringOptions(**options)
        read = comparisons
        if self._render(options_given) == "chat":
            read = comparisons.in_turns()
        outputs = self._outputs(
            mapped(lambda comparison: comparison.texts, read),
            options_given,
            place=lambda row, text: f"row {row + 1}, text {text + 1}, best first",
            partial=partial,
            shard=shard,
            is_saved=is_saved,
            progress=progress,
        )
        kept = outputs.is_whole
        if not kept.any():
            raise UserError("a text of every comparison is over-long; raise max_length.")
        counts = {
            "comparisons": int(kept.sum()),
            "equal_texts": int(outputs.are_equal[kept].sum()),
            "overlong_texts": int(outputs.overlong.sum()),
            "left_out": int((~kept).sum()),
        }
        raw_of_rows = compress(np.split(outputs.raw, np.cumsum(outputs.sizes)[:-1]), kept)
        pairs = [pair for raw in raw_of_rows for pair in combinations(raw, 2)]
        scores = scores_of_comparisons(
            comparisons[kept],
            np.array(pairs),
            self.family,
            **self._fields_of_scores(counts, outputs),
        )
        scores = replace(scores, overlap=self._overlap(scores.prompt))
        if scores.outcomes is None:
            return scores
        num_grades = self.outcome_model.num_grades
        return replace(scores, outcomes=with_num_grades(scores.outcomes, num_grades))

    def score_responses(
        self,
        rows: Collection[Mapping[str, Any]],
        source: str,
        *,
        first_turn_on: bool = False,
        partial: Path | None = None,
        shard: Shard | None = None,
        is_saved: Callable[[str], bool] = lambda run: False,
        progress: bool = False,
        **options: Any,
    ) -> Scores:
        """Score rows with a prompt and any number of `responses` each, such as those of a file.

        See `read_responses` for `first_turn_on`. `source` is where the rows are from, for messages;
        for the rest see `score_comparisons`.

        Raises:
            UserError: A row or a text cannot be read.
            UnmergedError: See `score_comparisons`.
        """
        read = read_responses(rows, source, first_turn_on=first_turn_on)
        options_given = ScoringOptions(**options)
        is_chat = self._render(options_given) == "chat"
        outputs = self._outputs(
            mapped(lambda candidates: _texts(candidates, is_chat=is_chat), read),
            options_given,
            place=lambda row, text: f"{source}, row {row + 1}, response {text + 1}",
            partial=partial,
            shard=shard,
            is_saved=is_saved,
            progress=progress,
        )
        labels = [prompt_label(one.prompt, one.texts) for one in read]
        lengths = [length for one in read for length in response_lengths(one.texts, one.prompt)]
        return Scores(
            family=self.family,
            raw=outputs.raw,
            sizes=outputs.sizes,
            prompt=np.array(labels, object),
            rows=rows,
            lengths=np.array(lengths),
            source=source,
            overlap=self._overlap(labels),
            **self._fields_of_scores(
                {
                    "rows": len(rows),
                    "overlong_texts": int(outputs.overlong.sum()),
                    "overlong_rows": int(outputs.has_overlong.sum()),
                },
                outputs,
            ),
        )

    def was_trained_on(self, comparisons: Comparisons) -> np.ndarray | None:
        """Which comparisons are of prompts that it was trained on, shape `(n,)`, bool.

        None where its checkpoint does not say it. `comparisons[~which]` is the held-out part.
        """
        if self.trained_prompts is None:
            return None
        return self.trained_prompts.holds(labels_of(comparisons))

    def save_pretrained(self, folder: str | Path) -> None:
        """Write a checkpoint that `from_pretrained` reads: weights, tokenizer, and their meaning.

        Raises:
            UserError: The folder is there already, or cannot be written.
        """
        folder = Path(folder)
        if folder.exists():
            raise UserError(f"{folder} is there already; remove it, or give another folder.")
        partial = folder.with_name(f".{folder.name}.partial")
        shutil.rmtree(partial, ignore_errors=True)  # what a kill left
        try:
            with refusing_full_disks(partial), quietly():
                self.model.save_pretrained(partial)
                self.tokenizer.save_pretrained(partial)
            marks = marks_of(self.model, self.tokenizer, partial)
            save_record(partial, **self.meaning, marks=marks)
            if self.trained_prompts is not None:
                self.trained_prompts.save(partial)
            complete_checkpoint(partial, self.model)
            check_saved(partial, self.model)
        except BaseException:
            shutil.rmtree(partial, ignore_errors=True)
            raise
        partial.rename(folder)

    def merge(self) -> Self:
        """The same model with its adapters added to the weights, in float32.

        It shares the weights that adapters do not change. See `merged_copy`.

        Raises:
            UserError: It has no adapters, or they cannot be merged.
        """
        if not is_adapted(self.model):
            raise UserError(f"{self} has no adapters: its weights are whole.")
        with self._lock:
            return replace(self, model=merged_copy(self.model), folder=None)

    def push_to_hub(
        self, repository: str, *, private: bool | None = None, token: str | None = None
    ) -> str:
        """Upload the checkpoint to a repository on the hub, made if need be; returns its address.

        `token` is that of `hf auth login` if not given.

        Raises:
            UserError: The hub refuses, or cannot be reached.
        """
        with tempfile.TemporaryDirectory(prefix="hidden-context-") as folder:
            self.save_pretrained(Path(folder) / "checkpoint")
            return push_folder(
                Path(folder) / "checkpoint", repository, private=private, token=token
            )

    @property
    def meaning(self) -> dict[str, Any]:
        """What `save_record` takes of it."""
        return {
            "family": self.family,
            "model_name": self.model_name,
            "outcome_model": self.outcome_model,
            **{name: self.record[name] for name in OF_TRAINING if name in self.record},
        }

    @property
    def stopping_rule(self) -> str:
        """When training stopped, in words."""
        training = self.record.get("training")
        return stopping_rule(training) if training else UNRECORDED

    def scorer(self, options: ScoringOptions) -> Scorer:
        """What makes raw outputs of token ids, once it is entered; made once for equal options."""
        longest = longest_text(self.model.config, self.tokenizer, options.max_length)
        options = replace(options, max_length=longest)
        fresh = Scorer(self.model, self.tokenizer, self.family.num_outputs, options)
        return self._scorers.setdefault(options, fresh)

    def _render(self, options: ScoringOptions) -> Render:
        return options.render or self.record.get("reading", {}).get("render", "plain")

    def _fields_of_scores(
        self, counts: Mapping[str, int], outputs: OutputsOfRows
    ) -> dict[str, Any]:
        return {
            "outcome_model": self.outcome_model,
            "name": self.name,
            "trained_on": self._trained_on,
            "stopping_rule": self.stopping_rule,
            "record": {"counts": counts} | ({"run": outputs.run} if outputs.run else {}),
        }

    def _overlap(self, labels: Iterable[str]) -> Overlap | None:
        known = self.trained_prompts
        return None if known is None else known.overlap(labels)

    @property
    def _trained_on(self) -> str:
        """The objective, else the data set, else the model's own name."""
        config = self.record.get("config", {})
        data = config.get("data_path")
        return config.get("data_subset") or (Path(data).name if data else self.name)

    def _show_first(self, rows: Rows, options: ScoringOptions) -> None:
        first = next(iter(rows))[:1]
        trained = self.record.get("reading", {}).get("render")
        kinds = {"plain": "plain texts", "chat": "conversations"}
        given = "plain" if isinstance(first[0], str) else "chat"
        are_ids = not isinstance(first[0], str) and not isinstance(first[0][0], Mapping)
        if trained in kinds and trained != given and not are_ids:
            warnings.warn(
                f"the model was trained on {kinds[trained]}, but is given {kinds[given]}",
                stacklevel=4,
            )
        cut: Any = {"max_length": options.max_length, "overlong": "truncate_left"}
        (ids,) = tokenize(self.tokenizer, first, **cut).token_ids
        logger.info(example_line(self.tokenizer, ids))

    def _outputs(self, rows: Rows, options: ScoringOptions, **how: Any) -> OutputsOfRows:
        scorer = self.scorer(options)
        header = {
            "family": self.family.to_dict(),
            "checkpoint": self.name if self.folder is None else identity(self.folder, WEIGHTS),
            "backbone": [short_name(self.model_name), identity(Path(self.model_name), WEIGHTS)],
            "dtype": str(self.model.dtype),
            "device": self.model.device.type,
            **{name: value for name, value in asdict(scorer.options).items() if name != "render"},
            "template_date": str(date_of(self.tokenizer)),
        }
        self._show_first(rows, scorer.options)
        with self._lock:
            outputs = score_rows(scorer, rows, header=header, **how)
        if outputs.overlong.any():
            fate = "left out" if options.overlong == "drop" else "cut at the beginning"
            warnings.warn(
                f"{outputs.overlong.sum()} of {len(outputs.overlong)} texts over "
                f"{scorer.options.max_length} tokens: {fate}",
                stacklevel=3,
            )
        return outputs


def _texts(candidates: Candidates, *, is_chat: bool) -> Sequence[Text]:
    is_turned = is_chat and candidates.is_joined
    return in_turns(candidates.texts, candidates.prompt, is_joined=is_turned)[0]
