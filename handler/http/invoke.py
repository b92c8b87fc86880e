"""The Invoke API of AWS Lambda, as far as one function needs it: what its clients send and are answered."""

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
from handler.serverless.calls import Call, Calls, InvocationType, Stopping
from handler.serverless.invocation import FunctionError
from handler.telemetry.log import Tail
from handler.telemetry.metrics import Metrics

PATH: Final = "/2015-03-31/functions/function/invocations"

_BODY_BYTES: Final = 6 * 1024 * 1024
_CAPITAL: Final = ("AccessDeniedException", "ServiceException")
"""Those whose messages AWS spells so."""

_LOG_TYPES: Final = ("None", "Tail")
_SOON: Final = {"Retry-After": "1"}
_LATER: Final = {"Retry-After": "5"}


class _Refusal(Exception):
    """What is answered instead of a call, in the form that AWS gives it."""

    def __init__(
        self, status: HTTPStatus, kind: str, message: str, headers: Mapping[str, str] | None = None, **more: str
    ) -> None:
        super().__init__(message)
        who = "Service" if status >= HTTPStatus.INTERNAL_SERVER_ERROR else "User"
        self.status = status
        self.content = {**more, "Type": who, "Message" if kind in _CAPITAL else "message": message}
        self.headers = {"x-amzn-ErrorType": kind, **(headers or {})}


@dataclass(frozen=True, slots=True)
class InvokeRoute:
    """`seconds` is a call's deadline, `read_seconds` what its body has to come; `unready` as for the server."""

    calls: Calls
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
            response = await self._answer(request, request_id)
        except _Refusal as refusal:
            throttled = refusal.status == HTTPStatus.TOO_MANY_REQUESTS
            self.metrics.called("throttled" if throttled else "refused")
            response = web.json_response(refusal.content, status=refusal.status, headers=refusal.headers)
        response.headers["x-amzn-RequestId"] = request_id
        return response

    async def _answer(self, request: web.Request, request_id: str) -> web.Response:
        kind, tail = self._admitted(request.headers)
        with ExitStack() as place:
            place.callback(self.calls.give_back)
            event = await self._event(request)
            if kind == "DryRun":
                return web.Response(status=HTTPStatus.NO_CONTENT)
            call = Call(event, request_id, kind, self.seconds, tail)
            answer = self._begun(call)
            place.pop_all()  # from here on it is the call's own
        return web.Response(status=HTTPStatus.ACCEPTED) if kind == "Event" else await _answered(call, answer)

    def _admitted(self, headers: Mapping[str, str]) -> tuple[InvocationType, Tail | None]:
        """What is asked for; a place is taken for it."""
        if why := self.guard.refusal(headers):
            raise _Refusal(HTTPStatus.FORBIDDEN, "AccessDeniedException", why)
        kind = _one_of(get_args(InvocationType), headers, "X-Amz-Invocation-Type", "RequestResponse")
        log = _one_of(_LOG_TYPES, headers, "X-Amz-Log-Type", "None")
        if reasons := self.unready():
            _unavailable("; ".join(reasons))
        if not self.calls.take_place():
            why = f"{self.calls.limit} calls run or wait already; try again, or raise FACECRAFT_MAX_CONCURRENT_JOBS"
            reason = "ConcurrentInvocationLimitExceeded"
            raise _Refusal(HTTPStatus.TOO_MANY_REQUESTS, "TooManyRequestsException", why, _SOON, Reason=reason)
        return cast("InvocationType", kind), Tail() if log == "Tail" and kind == "RequestResponse" else None

    async def _event(self, request: web.Request) -> object:
        """The body's JSON; without a body {}, as Lambda has it."""
        body = await self._body(request)
        try:
            return await asyncio.to_thread(json.loads, body or b"{}", parse_constant=_no_json)
        except (ValueError, RecursionError) as error:
            why = f"Could not parse request body into json: {error}"
            raise _Refusal(HTTPStatus.BAD_REQUEST, "InvalidRequestContentException", why) from error

    async def _body(self, request: web.Request) -> bytes:
        try:
            async with asyncio.timeout(self.read_seconds):
                return await request.clone(client_max_size=_BODY_BYTES).read()
        except TimeoutError as error:
            why = f"the body did not come within {self.read_seconds:g} s"
            raise _Refusal(HTTPStatus.REQUEST_TIMEOUT, "RequestTimeoutException", why) from error
        except (ConnectionError, web.RequestPayloadError) as error:
            why = f"the body did not come whole: {error}"
            raise _Refusal(HTTPStatus.BAD_REQUEST, "InvalidRequestContentException", why) from error
        except web.HTTPRequestEntityTooLarge as error:
            why = f"a call takes at most {_BODY_BYTES} bytes; put larger photos into the inbox and send their URI"
            raise _Refusal(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "RequestTooLargeException", why) from error

    def _begun(self, call: Call) -> Future[bytes]:
        try:
            return self.calls.begin(call)
        except Stopping:
            _unavailable("the service is stopping")


def _one_of(words: tuple[str, ...], headers: Mapping[str, str], name: str, usual: str) -> str:
    word = headers.get(name, usual)
    if word not in words:
        why = f"{name}: {word[:100]!r} is not one of {', '.join(words)}"
        raise _Refusal(HTTPStatus.BAD_REQUEST, "InvalidParameterValueException", why)
    return word


def _unavailable(why: str) -> NoReturn:
    raise _Refusal(HTTPStatus.SERVICE_UNAVAILABLE, "ServiceException", f"not ready: {why}", _LATER)


def _no_json(word: str) -> NoReturn:
    raise ValueError(f"{word} is no JSON")


async def _answered(call: Call, future: Future[bytes]) -> web.Response:
    """200 whatever the function said, and by the deadline, even where it works on."""
    answer = asyncio.wrap_future(future)
    answer.add_done_callback(lambda late: late.cancelled() or late.exception())  # asked for, so that nobody wonders
    await asyncio.wait({answer}, timeout=call.remaining())
    headers = {"X-Amz-Executed-Version": "$LATEST", "Content-Type": "application/json"}
    error = answer.exception() if answer.done() else _timed_out(call)
    if error:
        headers["X-Amz-Function-Error"] = "Unhandled"
    body = await asyncio.to_thread(json.dumps, _told(error, call)) if error else answer.result()
    if call.tail:
        headers["X-Amz-Log-Result"] = base64.b64encode(call.tail.text().encode()).decode()
    return web.Response(body=body, headers=headers)


def _told(error: BaseException, call: Call) -> dict[str, Any]:
    """As the runtime of Lambda tells it."""
    kind, trace = type(error).__name__, traceback.format_tb(error.__traceback__)
    if isinstance(error, FunctionError):
        kind, trace = error.kind, []  # its message says it all
    return {"errorMessage": str(error), "errorType": kind, "requestId": call.request_id, "stackTrace": trace}


def _timed_out(call: Call) -> FunctionError:
    why = f"RequestId: {call.request_id} Error: Task timed out after {call.seconds:.2f} seconds"
    return FunctionError("Sandbox.Timedout", why)
