"""Specs to start from, as text. Nothing is imported here: the shell completes their names."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["TEMPLATES", "Template"]


class Template(NamedTuple):
    """A spec to start from.

    Attributes:
        summary: what it is for, in a line.
        command: what runs it, ``train`` or ``sweep``.
        data: what its key ``data`` says where no data is given.
        body: the spec; ``@DATA@`` stands for its data.
    """

    summary: str
    command: str
    data: str
    body: str


TEMPLATES: dict[str, Template] = {
    "folder": Template(
        "Your own images, a sub-folder for each class: a small network from scratch.",
        "train",
        "photos                # photos/CLASS/*.jpg; train and test folders in it are found by themselves",
        """\
data: @DATA@
resolution: 64
augmentation: {rotation: 15, width_shift: 0.1, height_shift: 0.1, zoom: 0.2, horizontal_flip: true}
architecture: {preset: cnn, filters: [32, 64, 128, 128], dense: 128, dropout: 0.4}
optimizer: adam
lr: {initial: 1e-3, schedule: cosine}
batch: 32
epochs: 30
""",
    ),
    "csv": Template(
        "Images that a CSV file names: columns path and label, paths relative to the file.",
        "train",
        "labels.csv            # columns path, label; split (train, validation, test) if the parts are given",
        """\
data: @DATA@
resolution: 64
augmentation: {rotation: 15, zoom: 0.2, horizontal_flip: true}
architecture: cnn
optimizer: adam
lr: {initial: 1e-3, schedule: cosine}
batch: 32
epochs: 30
""",
    ),
    "transfer": Template(
        "Few photos: a MobileNet trained on ImageNet, first frozen under a new head, then its last layers trained on.",
        "train",
        "photos                # photos/CLASS/*.jpg",
        """\
data: @DATA@
resolution: 160             # its weights were trained at 128, 160, 192 and 224
augmentation: {rotation: 15, zoom: 0.2, horizontal_flip: true, views: 4}    # views: frozen layers run once for each
architecture: {backbone: mobilenet, head: [global_average_pool, {dropout: 0.3}, {dense: 128}]}
optimizer: adam
batch: 32
stages:
  - {epochs: 10, lr: 1e-3}
  - {epochs: 10, lr: 1e-4, trainable: {from: conv_dw_12}, early_stopping: 3}
""",
    ),
    "sweep": Template(
        "Several values of a spec, the best of them found by trials on validation images.",
        "sweep",
        "digits              # or your folder",
        """\
base:                       # a spec, or the path of one
  data: @DATA@
  architecture: cnn
  batch: 32
  epochs: 5
parameters:                 # dotted keys of the base
  optimizer: [adam, sgd]
  lr.initial: {low: 1e-4, high: 1e-1, log: true}
method: tpe                 # or grid, random, qmc, nsga2
trials: 8
""",
    ),
    "quickstart": Template(
        "Handwritten digits that come with scikit-learn: offline, in under a minute.",
        "train",
        "digits                # 1,797 images of 8x8 pixels",
        """\
data: @DATA@
resolution: 8
augmentation: {rotation: 10, width_shift: 0.1, height_shift: 0.1}
architecture: {preset: cnn, filters: [32, 64], dense: 64}
optimizer: adam
lr: {initial: 2e-3, schedule: cosine}
batch: 32
epochs: 20
""",
    ),
}
