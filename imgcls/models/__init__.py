"""From the spec's architecture to a Keras model that takes pixels 0..255 and gives probabilities."""

from imgcls.models.averaging import averaged, averaged_network
from imgcls.models.backbones import set_trainable
from imgcls.models.building import build_network
from imgcls.models.checks import check_network
from imgcls.models.folding import folded
from imgcls.models.frozen import FrozenSplit, is_still, split_frozen
from imgcls.models.fusing import fused
from imgcls.models.normalization import PixelStatistics, pixel_statistics
from imgcls.models.summary import ModelSummary, summarize
from imgcls.models.weights import PretrainedReport, load_pretrained

__all__ = [
    "FrozenSplit",
    "ModelSummary",
    "PixelStatistics",
    "PretrainedReport",
    "averaged",
    "averaged_network",
    "build_network",
    "check_network",
    "folded",
    "fused",
    "is_still",
    "load_pretrained",
    "pixel_statistics",
    "set_trainable",
    "split_frozen",
    "summarize",
]
