"""Photos that come into a bucket in every way there is, until there are so many."""

import threading
from collections import Counter
from hashlib import sha256

from sources.filters import SIDECAR
from tests.chaos.audit import POISON
from tests.chaos.feed import Photos, sum_of

BUCKET, PREFIX = "photos", "in/"
ODD = (
    "a+b c/é%25.jpg", "100%.jpg", "%2B.jpg", "日本語/写真.jpg", "back\\slash.jpg", "tab\tnew\nline.jpg", "n" * 240,
    "q?x=1&y=2#z.jpg", "-rf.jpg", "reports/a.jpg", "a.JPG", "e\u0301 decomposed.jpg", "é composed.jpg", "~tilde~.jpg",
    "<tag>&amp;.jpg", "space at the end ", "null", "$1 ^ |.jpg", "🙂.jpg", "=cmd'\".jpg",
)  # fmt: skip
NO_PHOTOS = ("elsewhere/a.jpg", "in/sub/", "in/.hidden.jpg", "in/half.jpg.part", "in/Thumbs.db", "in/@eaDir/a.jpg")


class BucketFeeder(Photos):
    """Use as a context: photos come until there are `number` of them, one every `pause` seconds on average.

    `checksums` holds those of each photo and its sidecar, `etags` what lies under each key, both by path and as of now.
    """

    def __init__(self, client, photo, seed, number, pause):
        super().__init__(photo, seed)
        self._client, self._most, self._pause = client, number, pause
        self._odd = self._random.sample(ODD, len(ODD))
        self._put_so_far = threading.Condition()
        self._thread = threading.Thread(target=self._feed)
        self.checksums, self.etags, self.removed, self.sidecars = {}, {}, set(), Counter()
        self.ways = [getattr(self, name) for name in dir(type(self)) if name.startswith("way_")]
        self.crashed = False

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._thread.join()
        assert not self.crashed

    def until(self, share):
        """Wait until that share of the photos has come."""
        with self._put_so_far:
            self._put_so_far.wait_for(lambda: self.crashed or len(self.checksums) >= share * self._most)

    def _feed(self):
        self.crashed, crashed = False, True
        try:
            for poison in POISON:
                self._photo_at(f"{poison}-photo.jpg")
            pause = threading.Event()
            while len(self.checksums) < self._most:
                self._one()
                pause.wait(self._pause * self._random.expovariate(1))
            crashed = False
        finally:
            with self._put_so_far:
                self.crashed = crashed
                self._put_so_far.notify_all()

    def _one(self):
        """One way in two is the plain one."""
        (self._random.choice(self.ways) if self._random.random() < 0.5 else self.way_put)()
        with self._put_so_far:
            self._put_so_far.notify_all()

    def _put(self, path, data):
        answer = self._client.put_object(Bucket=BUCKET, Key=PREFIX + path, Body=data)
        self.etags[path] = answer["ETag"].strip('"')

    def _photo_at(self, path, data=None):
        data = self.content() if data is None else data
        self._put(path, data)
        self._is_there(path, data)

    def _is_there(self, path, data):
        self.checksums[path] = sum_of(data), self.checksums.get(path, (None, None))[1]

    def _one_there(self):
        there = sorted(path for path in self.checksums if path.rpartition("/")[2][0].isdigit())
        return self._random.choice(there) if there else self.way_put()

    # The ways

    def way_put(self):
        name = self.name()
        self._photo_at(name)
        return name

    def way_put_in_parts(self):
        name, data = self.name(), self.content()
        place = {"Bucket": BUCKET, "Key": PREFIX + name}
        place["UploadId"] = self._client.create_multipart_upload(**place)["UploadId"]
        part = self._client.upload_part(**place, PartNumber=1, Body=data)["ETag"]
        whole = {"Parts": [{"PartNumber": 1, "ETag": part}]}
        answer = self._client.complete_multipart_upload(**place, MultipartUpload=whole)
        self.etags[name] = answer["ETag"].strip('"')
        self._is_there(name, data)

    def way_copied(self):
        name, data = self.name(), self.content()
        aside = {"Bucket": BUCKET, "Key": f"aside/{self._number}"}
        self._client.put_object(**aside, Body=data)
        answer = self._client.copy_object(Bucket=BUCKET, Key=PREFIX + name, CopySource=aside)
        self.etags[name] = answer["CopyObjectResult"]["ETag"].strip('"')
        self._is_there(name, data)

    def way_replaced(self):
        self._photo_at(self._one_there())

    def way_replaced_at_once(self):
        name = self.way_put()
        self._photo_at(name)

    def way_put_again(self):
        name, data = self.name(), self.content()
        self._photo_at(name, data)
        self._photo_at(name, data)

    def way_tagged(self):
        tags = {"TagSet": [{"Key": "seen", "Value": "yes"}]}
        self._client.put_object_tagging(Bucket=BUCKET, Key=PREFIX + self._one_there(), Tagging=tags)

    def way_deleted(self):
        name = self._random.choice((self.way_put, self._one_there))()
        self._client.delete_object(Bucket=BUCKET, Key=PREFIX + name)
        del self.checksums[name], self.etags[name]
        self.removed.add(name)

    def way_odd_key(self):
        self._photo_at(self._odd.pop() if self._odd else self._random.choice(ODD))

    def way_broken(self):
        self._photo_at(*self.broken_one())

    def way_empty(self):
        self._photo_at(*self.empty_one())

    def way_sidecar_first(self):
        name = self.name()
        self._sidecar(name)
        self._photo_at(name)

    def way_sidecar_later(self):
        self._sidecar(self._one_there())

    def _sidecar(self, name):
        options = b"width = %d" % self._random.randrange(80, 2000)
        self._put(f"{name}{SIDECAR}", options)
        self.sidecars[name] += 1
        self.checksums[name] = self.checksums.get(name, (None, None))[0], sha256(options).hexdigest()

    def way_no_photo(self):
        key = self._random.choice(NO_PHOTOS)
        etag = self._client.put_object(Bucket=BUCKET, Key=key, Body=b"x")["ETag"].strip('"')
        if key.startswith(PREFIX) and not key.endswith("/"):
            self.etags[key.removeprefix(PREFIX)] = etag
