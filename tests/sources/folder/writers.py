"""Many who write the same path at once."""

import threading
from concurrent.futures import ThreadPoolExecutor

from sources.stores.base import Conflict


def versions_of_writers(store, number):
    """The versions of those who succeeded; each wrote a content of its own to `anna.png`, where nothing stood."""
    begin = threading.Barrier(number)

    def write(content):
        begin.wait()
        try:
            return store.write("anna.png", bytes([content]))
        except Conflict:
            return None

    with ThreadPoolExecutor(number) as pool:
        return [version for version in pool.map(write, range(number)) if version]
