"""Training a reward model of any family with `transformers.Trainer`."""

from collections.abc import Callable, Mapping, Sequence
from copy import copy
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate.utils import reduce
from torch.nn.functional import pad
from torch.nn.utils.rnn import pad_sequence
from transformers import EvalPrediction, Trainer, TrainerCallback
from transformers.trainer_utils import TrainOutput

from hidden_context.device import for_loss
from hidden_context.errors import UserError
from hidden_context.likelihood.learned import LearnedLikelihood
from hidden_context.likelihood.loss import (
    DEFAULT_OUTCOME_MODEL,
    loss_of_observations,
    preference_loss,
)
from hidden_context.likelihood.outcomes import Outcomes
from hidden_context.llm.across_processes import own_share, regularizer_of_all
from hidden_context.llm.backbone import quietly, unwrapped
from hidden_context.llm.batching import choose_batching, model_inputs
from hidden_context.llm.best_model import StopEarly, check_judged
from hidden_context.llm.observations import Observation
from hidden_context.llm.packing import Batching
from hidden_context.llm.schedules import multiple_at
from hidden_context.llm.training_metrics import evaluation_metrics
from hidden_context.records import brief, read_json, write_json

NUM_TRIED = 256
"""Observations from which those are taken that a batching is tried on."""
LEARNED = "learned_likelihood.json"
"""File in a saved step that holds the parameters of the likelihood."""
WINDOW = "loss_window_{rank}.json"
"""File in a saved step that holds, for a process, the losses that were not logged yet."""
NOT_THERE = float("nan")
"""Raw output of a response that a ranking does not have, where others have more."""


class PreferenceTrainer(Trainer):
    """A Trainer whose batches are comparisons or rankings, and whose loss is their likelihood."""

    loss_is_scaled_for_ga = False
    """The loss is a mean over its own batch, so accumulation must divide it."""

    def __init__(
        self,
        *,
        likelihood: LearnedLikelihood,
        likelihood_learning_rate: float = 0.01,
        pad_token_id: int | None,
        batching: Batching | None = None,
        schedule: Callable[[float], float] | None = None,
        centering: float = 0.0,
        patience: int | None = None,
        threshold: float = 0.0,
        **kwargs: Any,
    ) -> None:
        """Make a trainer; what is not named here is the Trainer's.

        The parameters of the likelihood have a learning rate of their own: these few numbers are
        not at the scale of weights. For `batching` see `choose_batching`: the loss is the same, but
        for dropout. `schedule` gives the multiple of the learning rate by the share of steps done
        after warm-up. `centering` is the weight of `squared_sum_of_means`. With `patience`, stop
        where evaluations have stalled; see `has_stalled`.
        """
        args = copy(kwargs.pop("args"))
        args._n_gpu = min(1, args.n_gpu)  # DataParallel cannot split rows
        super().__init__(
            args=args,
            data_collator=list,  # pyrefly: ignore (until the batching is known)
            compute_metrics=lambda prediction: evaluation_metrics(
                *self.likelihood.fitted(), prediction
            ),
            **kwargs,
        )
        self.model_accepts_loss_kwargs = False
        self._num_weights = unwrapped(self.model).num_parameters(exclude_embeddings=True)
        self.likelihood = likelihood
        self._likelihood_learning_rate = likelihood_learning_rate
        self._share_among_processes()
        observed = _all_observed(kwargs["train_dataset"], kwargs.get("eval_dataset") or [])
        self._most_texts = max(len(observation.texts) for observation in observed)
        of_wins = all((one.shares, one.weight) == ((0.0, 0.0, 1.0), 1) for one in observed)
        self._with_outcomes = likelihood.fitted()[1] != DEFAULT_OUTCOME_MODEL or not of_wins
        tried = [text for observation in observed[:NUM_TRIED] for text in observation.texts]
        longest = max(len(text) for observation in observed for text in observation.texts)
        with self.accelerator.autocast():
            self.batching = choose_batching(
                self.model, batching, tried, pad_token_id, longest=longest
            )
        self.data_collator = partial(  # of this module: workers may be new interpreters
            collate,
            batching=self.batching,
            pad_token_id=pad_token_id,
            with_outcomes=self._with_outcomes,
        )
        self._schedule, self._centering = schedule, centering
        self._stop_early = None if patience is None else StopEarly(patience, threshold)
        if self._stop_early is not None:
            self.add_callback(self._stop_early)
        self._since_log: list[tuple[torch.Tensor, torch.Tensor]] = []
        self._resumed_from: str | None = None
        self.add_callback(_AtBegin(self._begin))

    def train(self, resume_from_checkpoint: Any = None, *args: Any, **kwargs: Any) -> TrainOutput:
        """The Trainer's; a resumed run logs what an unbroken one does."""
        self._resumed_from = resume_from_checkpoint
        return super().train(resume_from_checkpoint, *args, **kwargs)

    def _run_epoch(self, *args: Any, **kwargs: Any) -> Any:
        """The Trainer's; nothing where a run had ended before it was killed."""
        stalled = self._stop_early is not None and self._stop_early.stalled(
            self.args, self.state.log_history
        )
        if stalled or self.state.global_step >= self.state.max_steps:
            self.control.should_training_stop = True
            return None
        return super()._run_epoch(*args, **kwargs)

    def compute_loss(
        self,
        model: torch.nn.Module,
        inputs: dict[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: Any = None,
    ) -> Any:
        """Loss in float32, and raw outputs of shape `(batch, texts, num_outputs)`, best first.

        Raises:
            UserError: The loss is not finite.
        """
        sizes, outcomes = inputs["sizes"], inputs.get("outcomes")
        names = [name for name in inputs if name not in ("sizes", "outcomes", "own")]
        outputs = model(**{name: inputs[name] for name in names}).logits
        raw = for_loss(outputs)
        observed = None if outcomes is None else Outcomes(*map(for_loss, outcomes))
        rows = pad_sequence(list(raw.split(sizes)), batch_first=True, padding_value=NOT_THERE)
        rows = pad(rows, (0, 0, 0, self._most_texts - rows.shape[1]), value=NOT_THERE)
        own, total = inputs.get("own") or (len(sizes), len(sizes))
        alone = self.args.world_size == 1
        share = 1.0 if alone else own * self.args.world_size / total
        if own == 0:  # all are repeated: other processes have the loss
            loss = 0.0 * raw.sum()
        else:
            loss = self._mean_loss(
                raw[: sum(sizes[:own])],
                rows[:own],
                sizes[:own],
                None if observed is None else observed[np.arange(own)],
                training=model.training,
                regularize=model.training and alone,
            )
        if model.training and not alone:
            raw_own = raw[: sum(sizes[:own])]
            family = self.likelihood()[0]
            penalty = regularizer_of_all(family, raw_own, rank=self.args.process_index)
            loss = share * loss + penalty
        loss = loss.to(outputs.device)
        if not torch.isfinite(loss):
            step = self.state.global_step + 1
            raise UserError(
                f"the loss is {loss.item()} at step {step}; lower learning_rate or give "
                "bf16=false. The last saved checkpoint is intact."
            )
        if model.training:
            decode, raw_of_pair = self.likelihood.family.decode, rows[: max(own, 1)].detach()
            margin = decode(raw_of_pair[:, 0]).mean - decode(raw_of_pair[:, 1]).mean
            right = (0.5 + 0.5 * margin.sign()).mean()
            self._since_log.append((share * right, share * margin.mean()))
        return (loss, rows) if return_outputs else loss

    def _mean_loss(
        self,
        raw: torch.Tensor,
        rows: torch.Tensor,
        sizes: Sequence[int],
        observed: Outcomes | None,
        *,
        training: bool,
        regularize: bool,
    ) -> torch.Tensor:
        """Mean over observations; the raw outputs are given one after the other and in rows."""
        family, outcome_model = self.likelihood()
        likelihood = (observed, outcome_model)
        if set(sizes) == {2}:
            chosen, rejected = rows[:, 0], rows[:, 1]
            loss = preference_loss(family, chosen, rejected, *likelihood, regularize=regularize)
        else:
            loss = loss_of_observations(family, raw, sizes, *likelihood, regularize=regularize)
        if self._centering and training:
            loss = loss + self._centering * squared_sum_of_means(family.decode(raw).mean, sizes)
        return loss

    def get_batch_samples(self, epoch_iterator: Any, *args: Any, **kwargs: Any) -> Any:
        """The Trainer's; each batch knows which of its observations are this process's own."""
        own = partial(self._with_own, batch_size=self._train_batch_size or 1)
        return super().get_batch_samples(map(own, epoch_iterator), *args, **kwargs)

    def _with_own(self, inputs: dict[str, Any], batch_size: int) -> dict[str, Any]:
        if self.args.world_size == 1:
            return inputs
        share = own_share(
            len(inputs["sizes"]),
            batch_size,
            self.accelerator.gradient_state,
            rank=self.args.process_index,
            num_processes=self.args.world_size,
        )
        return {**inputs, "own": share}

    def prediction_step(
        self,
        model: torch.nn.Module,
        inputs: dict[str, Any],
        prediction_loss_only: bool,
        ignore_keys: list[str] | None = None,
    ) -> tuple[torch.Tensor, torch.Tensor | None, torch.Tensor | None]:
        """Loss without penalty, raw outputs, and as labels shares and weight of the outcomes."""
        inputs = self._with_own(self._prepare_inputs(inputs), self.args.eval_batch_size)
        with torch.no_grad(), self.compute_loss_context_manager():
            loss, raw = self.compute_loss(model, inputs, return_outputs=True)
        if prediction_loss_only:
            return loss, None, None
        outcomes = inputs.get("outcomes")
        if outcomes is None:
            return loss, raw, torch.zeros(len(raw), device=raw.device)
        shares, weight = outcomes
        return loss, raw, torch.cat([shares, weight[:, None]], dim=-1).to(raw.device)

    def create_optimizer(self, model: Any = None) -> torch.optim.Optimizer:
        """The Trainer's, and the parameters of the likelihood at their own learning rate.

        Raises:
            UserError: Its package is missing, or it is not for these settings.
        """
        fresh = self.optimizer is None
        try:
            optimizer = super().create_optimizer(model)
        except (ImportError, ValueError) as error:
            raise UserError(f"optim {self.args.optim}: {brief(error)}") from error
        parameters = list(self.likelihood.parameters())
        if fresh and parameters:
            group = {"lr": self._likelihood_learning_rate, "weight_decay": 0.0}
            optimizer.add_param_group({"params": parameters, **group})
            # the Trainer clears the gradients of the model alone
            optimizer.register_step_post_hook(lambda *_: self.likelihood.zero_grad())
        return optimizer

    def _save(self, output_dir: str | None = None, state_dict: Any = None) -> None:
        with quietly():
            super()._save(output_dir, state_dict)
        values = {name: value.tolist() for name, value in self.likelihood.named_parameters()}
        if values and output_dir is not None:
            write_json(Path(output_dir) / LEARNED, values)

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        super()._load_from_checkpoint(resume_from_checkpoint, model)
        self._load_likelihood(Path(resume_from_checkpoint))

    def _load_likelihood(self, step: Path) -> None:
        if (step / LEARNED).is_file():
            saved = read_json(step / LEARNED)
            with torch.no_grad():
                for name, value in self.likelihood.named_parameters():
                    value.copy_(torch.tensor(saved[name]))

    def _load_best_model(self) -> None:
        """The Trainer's, and what was learned of the likelihood at that step."""
        with quietly():
            super()._load_best_model()
        self._load_likelihood(Path(self.state.best_model_checkpoint or ""))

    def _check_judged(self) -> None:
        """See `check_judged`; what is measured is found out on two observations."""
        shape = (2, self._most_texts, self.likelihood.family.num_outputs)
        labels = np.zeros(2)
        if self._with_outcomes:
            first: Any = self.train_dataset[0]  # pyrefly: ignore (a list)
            labels = np.array([[*first.shares, first.weight]] * 2)
        prediction = EvalPrediction(np.random.default_rng(0).normal(size=shape), labels)
        measured = ["loss"]
        if not self.args.prediction_loss_only:
            measured += evaluation_metrics(*self.likelihood.fitted(), prediction)
        sets = (
            [f"{name}_" for name in self.eval_dataset]
            if isinstance(self.eval_dataset, Mapping)
            else [""]
        )
        names = [f"eval_{each}{name}" for each in sets for name in measured]
        check_judged(self.args, names, self.state.max_steps)

    def _save_rng_state(self, output_dir: str) -> None:
        """Each process's random numbers, and what it has not logged yet."""
        super()._save_rng_state(output_dir)
        window = {
            "loss": self._tr_loss.item(),
            "logged_loss": self._total_loss_scalar,
            "logged_step": self._globalstep_last_logged,
            "since_log": [[value.item() for value in pair] for pair in self._since_log],
        }
        write_json(Path(output_dir) / WINDOW.format(rank=self.args.process_index), window)

    def _begin(self) -> None:
        if self.args.metric_for_best_model is not None:
            self._check_judged()
        self._continue_window()

    def _continue_window(self) -> None:
        """Take up the window of losses that the kill cut, after the Trainer has begun another."""
        file = Path(self._resumed_from or "") / WINDOW.format(rank=self.args.process_index)
        if self._resumed_from is None or not file.is_file():  # of an earlier version
            return
        saved = read_json(file)
        self._tr_loss = torch.full_like(self._tr_loss, saved["loss"])
        self._total_loss_scalar = saved["logged_loss"]
        self._globalstep_last_logged = saved["logged_step"]
        on_device = [torch.tensor(pair, device=self.args.device) for pair in saved["since_log"]]
        self._since_log = [(pair[0], pair[1]) for pair in on_device]

    def _share_among_processes(self) -> None:
        """Put the likelihood's parameters where the loss is, their gradients averaged over ranks.

        They are no part of the model, whose wrapper averages the others.
        """
        parameters = list(self.likelihood.parameters())
        if parameters and (self.is_deepspeed_enabled or self.is_fsdp_enabled):
            raise UserError(
                "thresholds and correlation cannot be learned with DeepSpeed or FSDP, which own "
                "the optimizer; give them as fixed numbers."
            )
        self.likelihood.to(for_loss(torch.zeros(1, device=self.args.device)).device)
        if self.args.world_size > 1:
            for parameter in parameters:
                parameter.register_hook(lambda gradient: reduce(gradient, "mean"))

    def floating_point_ops(self, inputs: dict[str, Any]) -> int:
        """Six operations for each weight and token (Kaplan et al. 2020, table 1)."""
        tokens = sum(batch["input_ids"].numel() for batch in inputs["batches"])
        return 6 * tokens * self._num_weights

    def create_scheduler(self, num_training_steps: int, optimizer: Any = None) -> Any:
        """The schedule given, or the Trainer's."""
        schedule = self._schedule
        if self.lr_scheduler is None and schedule is not None:
            to_schedule: Any = optimizer or self.optimizer
            warm_up = self.args.get_warmup_steps(num_training_steps)
            self.lr_scheduler = torch.optim.lr_scheduler.LambdaLR(
                to_schedule, partial(multiple_at, schedule, warm_up, num_training_steps)
            )
            self._created_lr_scheduler = True
        return super().create_scheduler(num_training_steps, optimizer)

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Add TRL's `accuracy` and `margin` over the steps since the last log.

        The final `train_loss` is the mean over all steps, also over those before a kill.
        """
        if "loss" in logs and self._since_log:
            right, margin = (
                torch.stack(values).mean() for values in zip(*self._since_log, strict=True)
            )
            if self.args.world_size > 1:
                right, margin = reduce(torch.stack([right, margin]), "mean")
            logs = {**logs, "accuracy": round(right.item(), 4), "margin": round(margin.item(), 4)}
            self._since_log.clear()
        if "train_loss" in logs:
            mean = self._total_loss_scalar / max(self.state.global_step, 1)
            logs = {**logs, "train_loss": mean}
        super().log(logs, start_time)


def _all_observed(train: Any, evaluated: Any) -> list[Observation]:
    """Of training and of every set that is evaluated, which may have names."""
    sets = evaluated.values() if isinstance(evaluated, Mapping) else [evaluated]
    return [*train, *chain.from_iterable(sets)]


class _AtBegin(TrainerCallback):
    """Does one thing when training begins."""

    def __init__(self, do: Callable[[], None]) -> None:
        self._do = do

    def on_train_begin(self, *_: Any, **__: Any) -> None:
        self._do()


def squared_sum_of_means(mean: torch.Tensor, sizes: Sequence[int]) -> torch.Tensor:
    """What TRL's `center_rewards_coefficient` weighs: (mean of chosen + mean of rejected)².

    Eisenstein et al. (2023, arXiv:2312.09244), eq. 2. Of a ranking of K texts the sum is over all,
    times 2/K, so that two texts are an ordinary comparison.

    Args:
        mean: Mean utilities, shape `(sum(sizes),)`, one observation after the other.
        sizes: Number of texts of each observation.

    Returns:
        A scalar, the mean over observations.
    """
    sums = torch.stack([2 * part.mean() for part in mean.split(list(sizes))])
    return (sums**2).mean()


def collate(
    observations: Sequence[Observation],
    batching: Batching,
    pad_token_id: int | None,
    *,
    with_outcomes: bool = False,
) -> dict[str, Any]:
    """Observations as `model_inputs`, one text after the other.

    `sizes` is the number of texts of each; `outcomes` are shares and weights, where wanted.
    """
    texts = [text for observation in observations for text in observation.texts]
    inputs: dict[str, Any] = model_inputs(texts, batching, pad_token_id)
    inputs["sizes"] = [len(observation.texts) for observation in observations]
    if with_outcomes:
        shares = torch.tensor([observation.shares for observation in observations])
        weight = torch.tensor([observation.weight for observation in observations])
        inputs["outcomes"] = (shares, weight)
    return inputs
