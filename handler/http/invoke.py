"""The Invoke API of AWS Lambda, as far as one function needs it."""

import asyncio
import base64
import json
import traceback
import uuid
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from contextlib import ExitStack
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final, NoReturn, cast, get_args

from aiohttp import web

from handler.http.auth import Guard
from handler.serverless.calls import CallExecutor, ExecutorStopped, FunctionCall, InvocationType
from handler.serverless.invocation import FunctionError
from handler.telemetry.log import Tail
from handler.telemetry.metrics import Metrics

PATH: Final = "/2015-03-31/functions/function/invocations"

_BODY_BYTES: Final = 6 * 1024 * 1024
_CAPITAL_MESSAGE: Final = ("AccessDeniedException", "ServiceException")
"""The errors whose message AWS sends as `Message`; the others have `message`."""

_LOG_TYPES: Final = ("None", "Tail")
_SOON: Final = {"Retry-After": "1"}
_LATER: Final = {"Retry-After": "5"}


class _InvokeError(Exception):
    """Answers the request with an error in the form of AWS; no call is made."""

    def __init__(
        self, status: HTTPStatus, kind: str, message: str, headers: Mapping[str, str] | None = None, **more: str
    ) -> None:
        super().__init__(message)
        side = "Service" if status >= HTTPStatus.INTERNAL_SERVER_ERROR else "User"
        self.status = status
        self.content = {**more, "Type": side, "Message" if kind in _CAPITAL_MESSAGE else "message": message}
        self.headers = {"x-amzn-ErrorType": kind, **(headers or {})}


@dataclass(frozen=True, slots=True)
class InvokeRoute:
    """`POST` to the Invoke path of Lambda.

    Attributes:
        calls: Runs the function.
        guard: Decides who may call.
        unready: Why no photo can be processed now; empty if one can.
        metrics: Count the requests that are refused.
        seconds: How long a call may take.
        read_seconds: How long its body may take to arrive.
    """

    calls: CallExecutor
    guard: Guard
    unready: Callable[[], list[str]]
    metrics: Metrics
    seconds: float
    read_seconds: float = 30.0

    def routes(self) -> list[web.RouteDef]:
        return [web.post(PATH, self._post)]

    async def _post(self, request: web.Request) -> web.Response:
        request_id = str(uuid.uuid4())
        try:
            response = await self._invoke(request, request_id)
        except _InvokeError as error:
            throttled = error.status == HTTPStatus.TOO_MANY_REQUESTS
            self.metrics.called("throttled" if throttled else "refused")
            response = web.json_response(error.content, status=error.status, headers=error.headers)
        response.headers["x-amzn-RequestId"] = request_id
        return response

    async def _invoke(self, request: web.Request, request_id: str) -> web.Response:
        invocation_type, tail = self._admit(request.headers)
        with ExitStack() as slot:
            slot.callback(self.calls.free_slot)
            event = await self._event(request)
            if invocation_type == "DryRun":
                return web.Response(status=HTTPStatus.NO_CONTENT)
            call = FunctionCall(event, request_id, invocation_type, self.seconds, tail)
            try:
                answer = self.calls.submit(call)
            except ExecutorStopped:
                _unavailable("the service is stopping")
            slot.pop_all()  # from here on the slot is the call's
        if invocation_type == "Event":
            return web.Response(status=HTTPStatus.ACCEPTED)
        return await _response(call, answer)

    def _admit(self, headers: Mapping[str, str]) -> tuple[InvocationType, Tail | None]:
        """Check the headers and take a slot for the call."""
        if why := self.guard.refusal(headers):
            raise _InvokeError(HTTPStatus.FORBIDDEN, "AccessDeniedException", why)
        kind = _one_of(get_args(InvocationType), headers, "X-Amz-Invocation-Type", "RequestResponse")
        log = _one_of(_LOG_TYPES, headers, "X-Amz-Log-Type", "None")
        if reasons := self.unready():
            _unavailable("; ".join(reasons))
        if not self.calls.take_slot():
            why = f"{self.calls.limit} calls run or wait already; try again, or raise FACECRAFT_MAX_CONCURRENT_JOBS"
            reason = "ConcurrentInvocationLimitExceeded"
            raise _InvokeError(HTTPStatus.TOO_MANY_REQUESTS, "TooManyRequestsException", why, _SOON, Reason=reason)
        return cast("InvocationType", kind), Tail() if log == "Tail" and kind == "RequestResponse" else None

    async def _event(self, request: web.Request) -> object:
        """The JSON in the body; {} without a body, as in Lambda."""
        body = await self._body(request)
        try:
            return await asyncio.to_thread(json.loads, body or b"{}", parse_constant=_refuse_constant)
        except (ValueError, RecursionError) as error:
            why = f"Could not parse request body into json: {error}"
            raise _InvokeError(HTTPStatus.BAD_REQUEST, "InvalidRequestContentException", why) from error

    async def _body(self, request: web.Request) -> bytes:
        try:
            async with asyncio.timeout(self.read_seconds):
                return await request.clone(client_max_size=_BODY_BYTES).read()
        except TimeoutError as error:
            why = f"the body did not arrive within {self.read_seconds:g} s"
            raise _InvokeError(HTTPStatus.REQUEST_TIMEOUT, "RequestTimeoutException", why) from error
        except (ConnectionError, web.RequestPayloadError) as error:
            why = f"the body did not arrive completely: {error}"
            raise _InvokeError(HTTPStatus.BAD_REQUEST, "InvalidRequestContentException", why) from error
        except web.HTTPRequestEntityTooLarge as error:
            why = f"a call takes at most {_BODY_BYTES} bytes; put larger photos into the inbox and send their URI"
            raise _InvokeError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "RequestTooLargeException", why) from error


def _one_of(words: tuple[str, ...], headers: Mapping[str, str], name: str, default: str) -> str:
    word = headers.get(name, default)
    if word not in words:
        why = f"{name}: {word[:100]!r} is not one of {', '.join(words)}"
        raise _InvokeError(HTTPStatus.BAD_REQUEST, "InvalidParameterValueException", why)
    return word


def _unavailable(why: str) -> NoReturn:
    raise _InvokeError(HTTPStatus.SERVICE_UNAVAILABLE, "ServiceException", f"not ready: {why}", _LATER)


def _refuse_constant(word: str) -> NoReturn:
    raise ValueError(f"{word} is not JSON")


async def _response(call: FunctionCall, future: Future[bytes]) -> web.Response:
    """200 with the function's answer or error, at the deadline at the latest, even if the function still runs."""
    answer = asyncio.wrap_future(future)
    # Retrieves the error of a call that ends too late; otherwise asyncio logs that nobody did.
    answer.add_done_callback(lambda late: late.cancelled() or late.exception())
    await asyncio.wait({answer}, timeout=call.remaining())
    headers = {"X-Amz-Executed-Version": "$LATEST", "Content-Type": "application/json"}
    error = answer.exception() if answer.done() else _timed_out(call)
    if error:
        headers["X-Amz-Function-Error"] = "Unhandled"
    body = await asyncio.to_thread(json.dumps, _error_payload(error, call)) if error else answer.result()
    if call.tail:
        headers["X-Amz-Log-Result"] = base64.b64encode(call.tail.text().encode()).decode()
    return web.Response(body=body, headers=headers)


def _error_payload(error: BaseException, call: FunctionCall) -> dict[str, Any]:
    """The error as Lambda's Python runtime sends it."""
    kind, trace = type(error).__name__, traceback.format_tb(error.__traceback__)
    if isinstance(error, FunctionError):
        kind, trace = error.kind, []  # its message says it all
    return {"errorMessage": str(error), "errorType": kind, "requestId": call.request_id, "stackTrace": trace}


def _timed_out(call: FunctionCall) -> FunctionError:
    why = f"RequestId: {call.request_id} Error: Task timed out after {call.seconds:.2f} seconds"
    return FunctionError("Sandbox.Timedout", why)
