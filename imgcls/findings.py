"""What the user should be told about the data or the result, though the run goes on; and what to do about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["ADVICE", "Finding", "remark_text"]

_RIGHT = "see whether pixels and labels are right (imgcls data)"
_UNEQUAL = "imbalance: class_weights or oversample"

ADVICE = {
    # the data
    "duplicate_across_classes": "correct the labels, or leave the pictures out",
    "duplicate_across_splits": "remove them from one part: what is measured on them is memory",
    "near_duplicate_across_splits": "remove them from one part, or give such images one group",
    "flat_images": "look for broken downloads and masks, and leave them out",
    "tiny_images": "look for thumbnails among the originals, and leave them out",
    "narrow_range": "give 0..255: were they scaled before, or are they 12 bits in 16?",
    "few_images": "more images of them, or data.classes without them",
    "imbalanced": f"judge by balanced accuracy and macro F1; {_UNEQUAL}, or augmentation.classes_below",
    "prior_shift": "divide the data anew, or judge by balanced accuracy",
    "unreadable_left_out": "look at them",
    "first_frame_used": "split such files, if their other frames matter",
    "hidden_left_out": "see that it is meant so",
    "other_endings_left_out": "see that it is meant so; images of these kinds can be converted",
    "loose_images_left_out": "put them into the folder of their class",
    "folders_left_out": "see that it is meant so; data.train, validation and test name the folders",
    "classes_divided_alike": "see that it is meant so; if the inner folders are the classes, data.train, validation "
    "and test name the outer ones",
    "similar_classes": "give them one name, if they are one class",
    "special_files_left_out": "see that it is meant so",
    "part_not_used": "see that it is meant so; data.train, validation and test name the parts",
    "classes_without_images": "judge the classes that are there",
    "parts_measured_together": "name the part to measure it alone",
    # the run
    "worse_last_stage": "leave the last stage out, or give it a lower lr or early_stopping",
    "no_checkpoint": "make room, or see why it cannot be written: a run that is killed now begins anew",
    "tracking_lost": "the run folder has everything; see that the server answers, and that its disk has room",
    "resumed_elsewhere": "for figures that are the same to the bit, go on where it began, or train anew",
    # the spec
    "missing_file": "put it there before the training; paths in a spec are relative to the spec's folder",
    "augmentation_changes_nothing": "ask for a change, for instance rotation: 20, or a higher classes_below",
    "backbone_input_scale": "normalize: backbone gives it what it wants",
    "backbone_never_learns": "set trainable: all, or name weights",
    "binary_crossentropy_over_softmax": "loss: auto is the cross-entropy made for that",
    "backbone_input_range": "give images in 0..255, and normalize: backbone",
    "memory_short": "a smaller batch, resolution or network; precision: bfloat16 halves the activations",
    "keras_backend_overruled": "unset the variable, or set backend",
    "unusual_rate": "start from 1e-3 with adam and its kin, from 0.1 or less with sgd",
    "unused_setting": "set it in the stage, or remove it",
    # the result
    "one_class_predicted": f"a rate 10 times lower, {_UNEQUAL}; look at the curves",
    "nearly_one_class_predicted": f"a rate 10 times lower, {_UNEQUAL}; look at the curves",
    "classes_never_predicted": f"more images of them, or {_UNEQUAL}",
    "predictions_at_chance": "where the training accuracy is high, images and labels are in different orders; else try "
    f"another rate, and {_RIGHT}",
    "classes_permuted": "hold the order of the classes in the labels against that of the network's outputs",
    "not_better_than_majority": f"judge by balanced accuracy; more epochs, another rate, {_UNEQUAL}",
    "collapsed": f"stop it (Ctrl-C); a rate 10 times lower, {_UNEQUAL}",
    "nothing_learnt": f"try a rate 10 times lower or higher, and {_RIGHT}",
    "overfitting": "early_stopping with restore_best keeps the best epoch; augmentation and dropout help",
    "still_improving": "more epochs may do better",
    "stopped_while_improving": "a smaller min_delta, or more patience, goes on",
    "evaluation_not_counted": "say by hand how often the test part was measured",
    "overconfident": "label_smoothing, or early_stopping with restore_best; do not read its probabilities as such",
    "weak_class": f"more images of them, or {_UNEQUAL}; look at whom they are taken for",
    "weak_slice": "look at these images: other cameras, crops or labels; more of them in train",
    "not_held_out": "give a test part, or carve one: data: {test: 0.15}",
    # what others published, and pasted text
    "reported_impossible": "look for a misprint, or ask the authors",
    "accuracies_disagree": "predict in the order of the labels (no shuffling generator), and name images and weights",
    "accuracy_stuck": "look at the confusion matrix; a rate 10 times lower",
    "loss_below_bound": "do not compare it with other losses; say which loss it is",
    "majority_logged": f"a rate 10 times lower, {_UNEQUAL}",
    "matrix_cut": "numpy.set_printoptions(threshold=sys.maxsize) prints all of it",
    "not_finite": "a rate 10 times lower",
    "test_part_watched": "carve a validation part out of train, and measure the test part once",
    "validation_far_above_train": "compare the shares of the classes in the two parts",
}
"""What to do about each code that can be told."""


@dataclass(frozen=True)
class Finding:
    """One remark.

    Attributes:
        code: lower_snake, and stays the same.
        message: for people, what is so.
        advice: what to do about it; by default what the code's is.
        images: the paths of those that it is about, each with those it goes together with.
    """

    code: str
    message: str
    advice: str = ""
    images: tuple[tuple[str, ...], ...] = ()

    def __post_init__(self) -> None:
        if not self.advice:
            code = self.code.removeprefix("reported_")
            object.__setattr__(self, "advice", ADVICE.get(self.code) or ADVICE.get(code, ""))

    def record(self) -> dict[str, Any]:
        """Return it ready for JSON; ``images`` only where there are any."""
        record = {"code": self.code, "message": self.message, "advice": self.advice}
        return record | ({"images": [list(group) for group in self.images]} if self.images else {})

    @property
    def text(self) -> str:
        """Message and advice, as a line."""
        return remark_text(self.record())


def remark_text(record: Mapping[str, Any]) -> str:
    """Return message and advice of what ``Finding.record`` gave, as a line; older records have no advice."""
    return "; ".join(filter(None, (record["message"], record.get("advice"))))
