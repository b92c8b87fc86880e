"""What a Lambda environment holds from its init on, for all its calls.

Lambda freezes an environment after any call, for hours, and ends it without a word. So it shows that it lives only
while a call lasts: between calls nothing in the outbox is its own, and nobody waits for it or suspects it. One that
ends during a call (out of time or memory, a crash) leaves its marker, and its sign of life grows too old 35 s later.
Whoever has the photo next counts that end as the photo's attempt, because nothing else ran beside it, and works on it
at once.
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
from handler.workers.process import Handler
from sources.stores import aws
from sources.stores.s3 import S3Store

_PATIENCE: Final = 0.5
"""The share of a call's time that it waits for a photo of an earlier one."""

_log = logging.getLogger(__name__)


class LambdaRuntime:
    """Loads the models, and answers one call after the other. Nothing that a call brings is kept for the next one."""

    def __init__(self, settings: LambdaSettings, load: Callable[[LambdaSettings], Handler] = load_in_process) -> None:
        """ModelError or AwsSettingsError, with the fix."""
        log.setup(settings.log_level)
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
        """FunctionError where there is none, ModelError where models that were late are not right."""
        self._pool.is_loaded(0)
        if not self._pool.is_free(_PATIENCE * invocation.remaining()):
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
