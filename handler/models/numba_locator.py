"""Lets numba use a cache folder that it cannot write. numba imports this where NUMBA_CACHE_LOCATOR_CLASSES names it."""

from numba.core.caching import UserProvidedCacheLocator


class AsItIs(UserProvidedCacheLocator):
    """NUMBA_CACHE_DIR, for reading alone."""

    def ensure_cache_path(self) -> None:
        """Nothing has to be written where everything is compiled already."""
