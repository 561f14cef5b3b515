"""From the spec's architecture to a Keras model that takes pixels 0..255 and gives probabilities."""

from imgcls.models.building import PixelStatistics, build_network, pixel_statistics
from imgcls.models.summary import ModelSummary, summarize

__all__ = ["ModelSummary", "PixelStatistics", "build_network", "pixel_statistics", "summarize"]
