"""Lets numba use a read-only cache folder. numba imports this if NUMBA_CACHE_LOCATOR_CLASSES names it."""

from numba.core.caching import UserProvidedCacheLocator


class ReadOnlyCacheLocator(UserProvidedCacheLocator):
    """NUMBA_CACHE_DIR, read-only."""

    def ensure_cache_path(self) -> None:
        """Nothing has to be written: everything is compiled already."""
