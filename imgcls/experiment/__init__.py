"""The life of a run, from the spec to the finished folder; and measuring a finished run again."""

from imgcls.experiment.auditing import Audit, audit_data
from imgcls.experiment.describing import describe_network
from imgcls.experiment.evaluating import Evaluation, evaluate, require_free
from imgcls.experiment.exporting import Export, export
from imgcls.experiment.previewing import write_preview
from imgcls.experiment.resuming import as_it_began, resume
from imgcls.experiment.saved import load_network, resolved_spec
from imgcls.experiment.training import refuse_degenerate, train, train_into

__all__ = [
    "Audit",
    "Evaluation",
    "Export",
    "as_it_began",
    "audit_data",
    "describe_network",
    "evaluate",
    "export",
    "load_network",
    "refuse_degenerate",
    "require_free",
    "resolved_spec",
    "resume",
    "train",
    "train_into",
    "write_preview",
]
