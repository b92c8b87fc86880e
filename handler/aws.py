"""The function of Lambda, `handler.aws.lambda_handler`. To import this module is its init: models are loaded then."""

from typing import Final, Protocol

from handler.config.load import load_lambda
from handler.serverless.invocation import Answer, FunctionError, Invocation
from handler.serverless.runtime import LambdaRuntime


class Context(Protocol):
    """What Lambda's runtime client tells of a call."""

    @property
    def aws_request_id(self) -> str: ...

    def get_remaining_time_in_millis(self) -> int: ...


_environment: Final = LambdaRuntime(load_lambda())


def lambda_handler(event: object, context: Context) -> Answer:
    """The answer; an error's type is `FunctionError.kind`, because the runtime client tells its class's name."""
    invocation = Invocation(context.aws_request_id, lambda: context.get_remaining_time_in_millis() / 1000)
    try:
        return _environment.answer(event, invocation)
    except FunctionError as error:
        raise type(error.kind, (FunctionError,), {})(error.kind, str(error)) from error
