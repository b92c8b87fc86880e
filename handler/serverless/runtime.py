"""What a Lambda environment keeps from its init on, for all its calls.

Lambda may freeze an environment after any call, for hours, and ends it without notice. So an environment shows that it
is alive only during a call: between calls it owns nothing in the outbox, and nobody waits for it or suspects it. One
that ends during a call (out of time or memory, a crash) leaves its marker, and its sign of life expires 35 s later.
Whoever takes the photo next counts that end as an attempt of the photo, because nothing else ran beside it, and
processes it at once.
"""

import functools
import logging
import os
from collections.abc import Callable
from typing import Final

from handler.config.load import init_seconds
from handler.config.settings import LambdaSettings
from handler.outbox.attempts import Attempts
from handler.processing.process import Process
from handler.serverless.function import LambdaFunction
from handler.serverless.invocation import Answer, Invocation
from handler.telemetry import log
from handler.workers.in_process import InProcess, load_in_process
from handler.workers.worker_process import Handler
from sources.stores import aws
from sources.stores.s3 import S3Store

_WAIT_SHARE: Final = 0.5
"""The share of its time that a call waits for the photo of an earlier one."""

_log = logging.getLogger(__name__)


class LambdaRuntime:
    """Loads the models and answers one call at a time. Keeps nothing of a call for the next one."""

    def __init__(self, settings: LambdaSettings, load: Callable[[LambdaSettings], Handler] = load_in_process) -> None:
        """Start loading.

        Raises:
            ModelError: The models cannot be used; with the fix.
            AwsSettingsError: S3 cannot be used; with the fix.
        """
        log.setup(settings.least_level)
        for line in settings.warnings:
            _log.warning(line)
        if settings.outbox is not None:
            aws.client("s3")
        self._pool = InProcess(functools.partial(load, settings), settings.photo_timeout_seconds)
        self._attempts: Attempts | None = None
        self._function = LambdaFunction(settings, self._pool, self._process(settings))
        if not self._pool.is_loaded(init_seconds()):
            _log.warning("models.slow", extra={"next": "the first call waits for them, as long as it has time"})

    def answer(self, event: object, invocation: Invocation) -> Answer:
        """Answer one call.

        Raises:
            FunctionError: There is no answer.
            ModelError: Models that were still loading cannot be used.
        """
        self._pool.is_loaded(0)
        if not self._pool.is_free(_WAIT_SHARE * invocation.remaining()):
            _log.error("models.hang", extra={"next": "this environment ends, and Lambda makes another one"})
            os._exit(1)
        try:
            with log.requested(invocation.request_id), self._pool.within(invocation.remaining):
                return self._function(event, invocation)
        finally:
            if self._attempts is not None:
                self._attempts.close()

    def _process(self, settings: LambdaSettings) -> Process | None:
        inbox, outbox = settings.inbox, settings.outbox
        if not isinstance(inbox, S3Store) or not isinstance(outbox, S3Store):
            return None
        self._attempts = Attempts(outbox, always_alone=True)
        return Process.between(inbox, outbox, self._attempts, self._pool, settings)
