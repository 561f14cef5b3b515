"""``imgcls validate``: checks a spec without training."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from imgcls_cli.options import Json, Set, SpecFile

if TYPE_CHECKING:
    from imgcls.errors import SpecError
    from imgcls.spec import LoadedSpec, Spec

__all__ = ["validate"]


def validate(
    spec: SpecFile,
    settings: Set = None,
    resolved: Annotated[bool, typer.Option("--resolved", help="Print every value with its origin.")] = False,
    json: Json = False,
) -> None:
    """Check a spec or a sweep without training; all problems are shown at once, each with its place.

    Of a sweep, remarks and values are those of its base.

    Example: imgcls validate experiment.yaml --resolved
    """
    from imgcls.errors import SpecError
    from imgcls.evaluation.plausibility import reported_remarks
    from imgcls.experiment.preparing import missing_files
    from imgcls.files import strict_json
    from imgcls.spec import load_spec, parse_overrides
    from imgcls.spec.origins import resolved_values
    from imgcls.spec.remarks import spec_remarks
    from imgcls.spec.sweeping import describe_sweep, is_sweep, load_sweep
    from imgcls_cli.console import emit, out, plain, warn

    try:
        overrides = parse_overrides(settings or [])
        sweep = load_sweep(spec, overrides) if is_sweep(spec) else None
        loaded = sweep.base if sweep else load_spec(spec, overrides)
    except SpecError as error:
        if not json:
            raise
        emit(strict_json({"spec": str(spec), "valid": False, "problems": _problems(error)}))
        raise typer.Exit(error.exit_code) from error
    kind, text = ("a valid sweep", describe_sweep(sweep)) if sweep else ("valid", describe(loaded))
    values = resolved_values(loaded)
    remarks = [*missing_files(loaded), *spec_remarks(loaded.spec), *reported_remarks(loaded.spec.reported)]
    stages = describe_stages(loaded)
    if json:
        warnings = [remark.record() for remark in remarks]
        answer = {"spec": str(spec), "valid": True, "description": text, "stages": stages}
        emit(strict_json({**answer, "warnings": warnings, "resolved": values}))
        return
    for remark in remarks:
        warn(remark.text)
    if resolved:
        _print_values(values)
    out.print(plain(f"{spec} is {kind}: {text}"), soft_wrap=True)
    for number, stage in enumerate(stages, start=1):
        out.print(plain(f"  stage {number}: {stage}"), soft_wrap=True)


def describe(loaded: LoadedSpec) -> str:
    """Return the experiment in one line: ``digits, 8x8 grayscale, cnn, adam at 0.001, batch 64, 10 epochs``.

    With stages, what these have of their own is left to ``describe_stages``: ``..., batch 64, 25 epochs in 4 stages``.
    """
    from imgcls.wording import counted

    spec = loaded.spec.completed()
    epochs = counted(sum(phase.epochs for phase in spec.phases), "epoch")
    size = "x".join(map(str, spec.resolution)) if spec.resolution else "the data's own resolution"
    architecture: Any = spec.architecture
    layers = getattr(architecture, "layers", ())
    network = (
        getattr(architecture, "preset", None) or getattr(architecture, "backbone", None) or f"{len(layers)} layers"
    )
    source = spec.data.path or spec.data.source
    learning = "" if spec.stages else f"{_learning(spec)}, "
    stages = f" in {counted(len(spec.stages), 'stage')}" if spec.stages else ""
    return (
        f"{source}, {size}{f' {spec.color}' if spec.color else ''}, {network}, "
        f"{learning}batch {spec.batch}, {epochs}{stages}"
    )


def describe_stages(loaded: LoadedSpec) -> list[str]:
    """Return a line for each stage: ``5 epochs, adam at 0.0001, trainable all``."""
    from imgcls.wording import counted

    spec = loaded.spec.completed()
    return [
        f"{counted(phase.epochs, 'epoch')}, {_learning(phase)}{_trainable(phase)}"
        for phase in (spec.phases if spec.stages else ())
    ]


def _learning(spec: Spec) -> str:
    return f"{spec.optimizer.name} at {spec.lr.initial:g}"


def _trainable(phase: Spec) -> str:
    """Return which part of a backbone learns; nothing for another network."""
    part: Any = getattr(phase.architecture, "trainable", None)
    return "" if part is None else f", trainable {f'from {part.from_}' if hasattr(part, 'from_') else part}"


def _problems(error: SpecError) -> list[dict[str, Any]]:
    """Return the problems as records; a file that cannot be read is one without a place."""
    from imgcls.spec.problems import Problem

    problems = [problem for problem in error.problems if isinstance(problem, Problem)]
    return [
        {
            "line": problem.mark.line if problem.mark else None,
            "column": problem.mark.column if problem.mark else None,
            "key": problem.key,
            "message": problem.message,
            "origin": problem.mark.file if problem.mark else problem.origin,  # a file that the spec extends, or -s
        }
        for problem in problems or [Problem("", str(error))]
    ]


def _print_values(values: dict[str, dict[str, Any]]) -> None:
    from imgcls_cli.console import new_table, out, plain

    table = new_table()
    for name in ("key", "value", "origin"):
        table.add_column(name, overflow="fold")
    for key, entry in values.items():
        is_default = entry["origin"] == "default"
        table.add_row(
            *(plain(text, "dim" if is_default else "") for text in (key, _text(entry["value"]), entry["origin"]))
        )
    out.print(table)


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return "none" if value is None else str(value)
