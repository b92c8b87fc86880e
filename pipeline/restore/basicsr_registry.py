"""basicsr's registry of architectures, importable beside today's libraries."""

import sys

import scipy.ndimage
import torchvision.transforms.functional

# Modules that basicsr 1.4.2 imports by names that are gone, or going.
sys.modules["torchvision.transforms.functional_tensor"] = torchvision.transforms.functional
sys.modules["scipy.ndimage.filters"] = scipy.ndimage

from basicsr.utils.registry import ARCH_REGISTRY  # noqa: E402  # after the names above

__all__ = ["ARCH_REGISTRY"]
