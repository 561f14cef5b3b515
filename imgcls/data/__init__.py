"""Images on disk or in arrays become prepared pixels, labels and parts."""

from imgcls.data.cache import Cache, CacheEntry, default_cache_root
from imgcls.data.dataset import Dataset, load_dataset, load_images
from imgcls.data.pixels import check_pixels, is_quickly_checked
from imgcls.data.sources import data_path
from imgcls.findings import Finding

__all__ = [
    "Cache",
    "CacheEntry",
    "Dataset",
    "Finding",
    "check_pixels",
    "data_path",
    "default_cache_root",
    "is_quickly_checked",
    "load_dataset",
    "load_images",
]
