"""metrics.json of a synthetic experiment to what the page shows; its drawings are given."""

from collections.abc import Sequence
from pathlib import Path

from hidden_context.records import read_json
from hidden_context.report.checked_fields import CheckedFields
from hidden_context.report.measured import Panel, Result, Run, Table
from hidden_context.report.numbers_in_words import NO_VALUE, decimal, setting
from hidden_context.report.read_audit import PROVENANCE
from hidden_context.report.result_files import METRICS


def read_synthetic(folder: Path, panels: Sequence[Panel]) -> Result:
    """Read the metrics beside the drawings of the same folder.

    Raises:
        UserError: The file is damaged.
    """
    file = folder / METRICS
    record = CheckedFields(read_json(file), file)
    exact, models, config = (
        record.fields("exact"),
        record.fields("models"),
        record.mapping("config"),
    )
    lowest = exact.number("expected_loss")
    rows: list[tuple[str, ...]] = [("exact", decimal(lowest, 4), NO_VALUE, NO_VALUE, _r2(exact))]
    for name in models.values:
        found = models.fields(name)
        order = found.fields("ordering") if found.has("ordering") else None
        with_exact = [
            decimal(order.fields(what).number("spearman")) if order else NO_VALUE
            for what in ("borda_count", "expected_utility")
        ]
        rows.append((name, decimal(found.number("expected_loss"), 4), *with_exact, _r2(found)))
    headers = ("family", "expected loss, nats", "Spearman with Borda count", "with E[u]")
    env = setting(config.get("env"))
    return Result(
        title=f"Synthetic experiment {env}",
        source=str(folder),
        numbers=Table((*headers, "r² of ranks"), tuple(rows)),
        runs=(
            Run(
                name=f"synthetic {env}",
                family=", ".join(models.values),
                data_set="generated",
                configs={"experiment": config},
                provenance={name: record.values.get(name) for name in PROVENANCE},
            ),
        ),
        synthetic=tuple(panels),
    )


def _r2(found: CheckedFields) -> str:
    name = "rank_explained_variance"
    return decimal(found.number(name)) if found.has(name) else NO_VALUE
