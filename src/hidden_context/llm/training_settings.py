"""What training can be told, in a program and on the command line alike."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal

from hidden_context.errors import UserError
from hidden_context.likelihood.outcomes import Ties
from hidden_context.llm.packing import Batching
from hidden_context.llm.rendering import Render
from hidden_context.records import parse_value

ABOVE_ZERO = (
    "per_device_train_batch_size",
    "per_device_eval_batch_size",
    "gradient_accumulation_steps",
    "max_length",
    "eval_steps",
    "save_steps",
    "logging_steps",
    "num_train_epochs",
    "learning_rate",
    "likelihood_learning_rate",
    "lora_r",
    "lora_alpha",
)
NOT_BELOW_ZERO = ("lora_dropout", "center_rewards_coefficient", "early_stopping_threshold")
OF_UPLOAD = ("push_to_hub", "hub_model_id", "hub_private_repo", "hub_token")
FREE_TO_CHANGE = {
    "resume_from_checkpoint",
    "per_device_eval_batch_size",
    "logging_steps",
    "streaming",
    *OF_UPLOAD,
}
"""Settings that may differ when a run is resumed; the losses do not depend on them."""


def further_flags() -> list[tuple[str, Any, str, Any]]:
    """Name, kind, help and default of what is passed on to the Trainer, and of what is refused."""
    from hidden_context.llm.trainer_arguments import REFUSED, help_of_passed, passed_on

    said = help_of_passed()
    passed = [
        (name, str if kind is dict else kind, *said[name]) for name, kind in passed_on().items()
    ]
    refused = [(name, tuple[str, ...], f"Refused: {why}.", None) for name, why in REFUSED.items()]
    return passed + refused


@dataclass(frozen=True, kw_only=True)
class TrainingSettings:
    """Settings of a training run; the defaults are those of the published code."""

    tokenizer_name: str | None = None
    """Folder or hub name of the tokenizer, if not the backbone's."""
    model_revision: str | None = None
    """Branch, tag or commit of a backbone (and its tokenizer) on the hub."""
    dtype: Literal["auto", "bfloat16", "float16", "float32"] | None = None
    """Weights of the backbone; if not given, bfloat16 with bf16 and adapters, else float32."""
    attn_implementation: str | None = None
    """Attention of the backbone, such as sdpa, eager or flash_attention_2."""
    load_in_8bit: bool = False
    """Load the backbone in 8 bits (needs the package bitsandbytes, and adapters)."""
    load_in_4bit: bool = False
    """Load the backbone in 4 bits (needs the package bitsandbytes, and adapters)."""
    bnb_4bit_quant_type: Literal["nf4", "fp4"] = "nf4"
    """What four bits mean."""
    use_bnb_nested_quant: bool = False
    """Quantise the scales of four bits too."""
    chat_template_path: str | None = None
    """Jinja file, or folder or hub name of a tokenizer, whose chat template is used."""
    learn: tuple[str, ...] = ()
    """Options of the family that are learned with the weights: correlation (mean_and_variance)."""
    ties: Ties | None = None
    """What a tie says: half a win and half a loss (half), no utility ahead by more than a threshold
    (threshold), or Davidson's model (davidson); if not given, threshold if the data have ties."""
    thresholds: tuple[float, ...] = ()
    """Where ties end, then where each further strength of preference begins, in units of utility;
    learned if not given."""
    davidson: float | None = None
    """ν of Davidson's model; learned if not given."""
    likelihood_learning_rate: float = 0.01
    """Peak learning rate of thresholds, ν and correlation."""
    learning_rate: float = 3e-6
    """Peak learning rate of AdamW."""
    weight_decay: float = 0.001
    """Weight decay of AdamW."""
    lr_scheduler_type: str = "cosine"
    """Schedule: cosine (to a tenth), step (1, 0.1, 0.01 by thirds) or any of the Trainer's."""
    lr_scheduler_kwargs: str | Mapping[str, Any] | None = None
    """What one of the Trainer's schedules takes, as JSON, such as {"min_lr_rate": 0.1}."""
    num_train_epochs: float = 1.0
    """Passes over the training data."""
    per_device_train_batch_size: int = 2
    """Comparisons a device and step."""
    per_device_eval_batch_size: int = 1
    """Comparisons a device and evaluation step."""
    gradient_accumulation_steps: int = 1
    """Steps whose gradients are averaged before an update."""
    batching: Batching | None = None
    """shared_prefix, grouped (by length) or padded; if not given, the fastest that is exact."""
    gradient_checkpointing: bool = field(
        default=False, metadata={"also": ("activation_checkpointing",)}
    )
    """Trade computation for memory."""
    max_length: int = 1024
    """Longest text in tokens, special tokens included."""
    overlong: Literal["drop", "truncate_left", "error"] = "drop"
    """Comparisons with a longer text: left out, cut at the beginning, or refused; all counted."""
    render: Render | None = None
    """A plain prompt and a plain response: two turns (chat), or one text (plain); if not given, two
    turns where the tokenizer has a chat template."""
    bf16: bool = True
    """Compute in bfloat16 where the device has it (the loss is in float32 in any case)."""
    keep_head: bool = False
    """Where the backbone has a trained head of one output and the family has more: start the mean's
    output from it."""
    use_peft: bool = True
    """Train LoRA adapters (r 8, alpha 32, dropout 0.1) and the head, or all weights."""
    lora_r: int = 8
    """Rank of the adapters."""
    lora_alpha: int = 32
    """Scale of the adapters, divided by their rank."""
    lora_dropout: float = 0.1
    """Dropout before the adapters."""
    lora_target_modules: tuple[str, ...] | None = None
    """Layers with adapters: names, a regular expression, or all-linear (the head, which is always
    trained in full, excepted); if not given, those that PEFT knows for the architecture."""
    lora_modules_to_save: tuple[str, ...] = ()
    """Modules to train in full beside the head."""
    use_rslora: bool = False
    """Divide the scale of the adapters by the root of their rank instead."""
    use_dora: bool = False
    """Train magnitude and direction of the adapted weights apart (DoRA)."""
    disable_dropout: bool = False
    """Train without any dropout, that of the adapters included."""
    center_rewards_coefficient: float | None = None
    """Add this times the square of the summed mean utilities of a comparison's responses to the
    loss, so that utilities are centred at zero; 0.01 is usual."""
    optim: str = "adamw_torch"
    """Optimiser, by the Trainer's names."""
    deepspeed: str | None = None
    """DeepSpeed configuration file."""
    resume_from_checkpoint: bool = False
    """Continue an interrupted run from its last saved step."""
    early_stopping_patience: int | None = None
    """Stop after so many evaluations without a better metric_for_best_model (loss)."""
    early_stopping_threshold: float = 0.0
    """By how much an evaluation must be better to count."""
    eval_first_step: bool = field(default=False, metadata={"also": ("eval_on_start",)})
    """Evaluate before the first step too."""
    eval_steps: int = 1000
    """Steps between evaluations."""
    save_steps: int = 1000
    """Steps between saved checkpoints."""
    logging_steps: int = 10
    """Steps between logged losses."""
    seed: int = 0
    """Seed of the head's weights, the order of the data and dropout."""
    push_to_hub: bool = False
    """Upload the finished checkpoint to the Hugging Face hub, once."""
    hub_model_id: str | None = None
    """Repository to upload to, OWNER/NAME; if not given, the name of output_dir."""
    hub_private_repo: bool | None = None
    """Whether a repository that is made for it is private; if not given, as the account says."""
    hub_token: str | None = field(default=None, repr=False)
    """Token to upload with; if not given, that of HF_TOKEN or hf auth login. It is not recorded."""
    trainer: Mapping[str, Any] = field(
        default_factory=dict,
        metadata={
            "further": further_flags,
            "named": "settings of transformers.TrainingArguments, which are passed on",
        },
    )
    """Any other setting of transformers.TrainingArguments, by name."""

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> "TrainingSettings":
        """Settings by name, those that are the Trainer's among them.

        Raises:
            UserError: One is unknown, refused or out of range.
        """
        own: dict[str, Any] = {}
        passed = dict(given.get("trainer", {}))
        for name, value in given.items():
            if OTHER_NAMES.get(name, name) in FIELDS:
                own[OTHER_NAMES.get(name, name)] = value
            else:
                passed[name] = value
        own["trainer"] = passed
        return cls(**own)

    def to_dict(self) -> dict[str, Any]:
        """All settings by name, what is passed on among them; but no token, which is a secret."""
        own = asdict(self)
        del own["hub_token"]
        passed = own.pop("trainer")
        return {**own, **passed}

    def __post_init__(self) -> None:
        for name in ABOVE_ZERO:
            if not 0 < getattr(self, name) < math.inf:
                raise UserError(f"{name} is {getattr(self, name)}; give a number above 0.")
        for name in NOT_BELOW_ZERO:
            value = getattr(self, name)
            if value is not None and not 0 <= value < math.inf:
                raise UserError(f"{name} is {value}; give a number that is not negative.")
        if self.lora_dropout >= 1:
            raise UserError(f"lora_dropout is {self.lora_dropout}; give a share below 1.")
        if self.early_stopping_patience is not None and self.early_stopping_patience < 1:
            raise UserError("early_stopping_patience is below 1; give a number of evaluations.")
        self._check_adapters()
        if self.trainer or self.early_stopping_patience is not None:
            from hidden_context.llm.trainer_arguments import check_together, checked

            object.__setattr__(self, "trainer", checked(self.trainer))
            check_together(self)
        for name in OF_UPLOAD:
            if getattr(self, name) not in (None, False) and not self.push_to_hub:
                raise UserError(f"{name} changes nothing without push_to_hub.")
        if self.davidson is not None and self.ties != "davidson":
            raise UserError("davidson is the number of ties=davidson; give that too.")
        if isinstance(self.lr_scheduler_kwargs, str):
            given = parse_value(self.lr_scheduler_kwargs, "lr_scheduler_kwargs")
            object.__setattr__(self, "lr_scheduler_kwargs", given)
        if not isinstance(self.lr_scheduler_kwargs, Mapping | None):
            raise UserError(
                f"lr_scheduler_kwargs is {self.lr_scheduler_kwargs!r}; give names with their "
                'values, such as {"min_lr_rate": 0.1}.'
            )

    def _check_adapters(self) -> None:
        """Refuse settings of adapters, or of quantised backbones, that would change nothing."""
        for name in OF_ADAPTERS:
            if not self.use_peft and getattr(self, name) != DEFAULTS[name]:
                raise UserError(f"{name} is of adapters, but use_peft is false; leave one out.")
        if self.load_in_8bit and self.load_in_4bit:
            raise UserError("load_in_8bit and load_in_4bit are both given; give one.")
        for name in ("bnb_4bit_quant_type", "use_bnb_nested_quant"):
            if not self.load_in_4bit and getattr(self, name) != DEFAULTS[name]:
                raise UserError(f"{name} changes nothing without load_in_4bit.")
        if (self.load_in_8bit or self.load_in_4bit) and self.dtype not in (None, "bfloat16"):
            raise UserError(f"dtype is {self.dtype}, but the backbone is quantised; leave it out.")
        if self.disable_dropout and self.lora_dropout not in (0, DEFAULTS["lora_dropout"]):
            raise UserError("lora_dropout and disable_dropout contradict each other; give one.")


FIELDS = {each.name: each for each in fields(TrainingSettings)}
"""Of the settings, by name."""
DEFAULTS = {name: each.default for name, each in FIELDS.items() if name != "trainer"}
OTHER_NAMES = {
    other: name for name, each in FIELDS.items() for other in each.metadata.get("also", ())
}
"""By which the Trainer knows some of the settings."""
OF_ADAPTERS = (
    "lora_r",
    "lora_alpha",
    "lora_dropout",
    "lora_target_modules",
    "lora_modules_to_save",
    "use_rslora",
    "use_dora",
    "load_in_8bit",
    "load_in_4bit",
)


def own_names() -> set[str]:
    """Names of the settings, also those by which the Trainer knows them."""
    return {*FIELDS, *OTHER_NAMES} - {"trainer"}
