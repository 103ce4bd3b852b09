"""Every failure that Puna names.

A message says what is wrong, where, and what to do about it.  `assert` is for
our own mistakes; these are for what a user or a file can cause.

    PunaError
    ├── ModelFileError            a model file cannot be used
    │   ├── MalformedFileError        its bytes break the format's rules
    │   ├── UnsupportedTypeError      a tensor has a block type that Puna does not run
    │   ├── UnsupportedModelError     it is not a Llama, or its tokenizer is unknown
    │   └── MissingTensorError        a weight that the network needs is absent or misshapen
    ├── ModelNotFoundError        no such model in the store, or no such file
    ├── ModelUnavailableError     still being loaded, or no memory for it; carries seconds to wait
    ├── DownloadError             a pull did not finish; what was fetched is kept for resuming
    │   ├── HashMismatchError         the bytes are not those that were promised; discarded
    │   └── GatedModelError           the hub wants a licence accepted or a token
    ├── RequestError              the request cannot be served as it is
    │   ├── ContextOverflowError      prompt and answer do not fit the context
    │   ├── InvalidParameterError     a sampling parameter is out of range
    │   ├── TemplateError             the chat template refused, ran too long or grew too big
    │   └── GrammarError              a schema, regex or grammar cannot be enforced
    ├── OverloadError             too many requests are here already; carries seconds to wait
    ├── ShutdownError             the server is about to end
    ├── EngineError               the engine stopped, or failed in the middle of a step
    ├── NumericError              the network produced NaN or infinity
    ├── AccountError              what an account may not do, or does not have
    │   ├── AuthenticationError       no such key, password, session or link; or no longer
    │   ├── ForbiddenError            the key's scopes, the role or the plan do not allow it
    │   ├── NotFoundError             no such tenant, user, key or plan
    │   ├── ConflictError             it exists already, or a key was used for another body
    │   ├── LimitError                not now: carries seconds until it may be tried again
    │   │   ├── RateLimitError            requests or tokens a minute, requests at once, sign-ins
    │   │   ├── QuotaError                the month's tokens are used up
    │   │   └── CreditError               the prepaid credits do not cover it
    │   └── PaymentError              the payment provider refused, or its message is not genuine
    ├── AssistantError            what the assistant cannot do with what it was given
    │   ├── FileRefusedError          a file is of no known kind or damaged
    │   ├── TooLargeError             a file or an import is larger than one may be
    │   └── ToolError                 a tool call is not allowed, failed or took too long
    ├── RoomError                 a tenant or person keeps as much as may be, or the disk is full
    ├── RemoteError               a Puna server that was asked does not answer, or refuses
    ├── StoreError                the database cannot be opened or written; nothing is promised
    └── SettingError              a PUNA_* variable or an option has an unusable value
"""

from __future__ import annotations


class PunaError(Exception):
    """Any failure that Puna names."""


class ModelFileError(PunaError):
    """A model file cannot be used."""


class MalformedFileError(ModelFileError):
    """The file's bytes break the rules of its format."""


class UnsupportedTypeError(ModelFileError):
    """A tensor is stored in a block type that Puna does not run."""

    def __init__(self, tensor: str, type_name: str, supported: str) -> None:
        super().__init__(
            f"tensor {tensor!r} is stored as {type_name}, which Puna does not run; "
            f"use a file quantised as one of {supported}"
        )
        self.tensor = tensor
        self.type_name = type_name


class UnsupportedModelError(ModelFileError):
    """The file is sound, but is not a model that Puna runs."""


class MissingTensorError(ModelFileError):
    """A weight that the network needs is absent or has another shape."""


class ModelNotFoundError(PunaError):
    """No such model in the store, and no such file."""


class ModelUnavailableError(PunaError):
    """Not now; `retry_after_s` says when, None if waiting does not help."""

    def __init__(self, message: str, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class DownloadError(PunaError):
    """A pull did not finish; what was fetched is kept for resuming."""


class HashMismatchError(DownloadError):
    """The downloaded bytes are not those that were promised."""


class GatedModelError(DownloadError):
    """The hub wants a licence accepted or a token."""


class RequestError(PunaError):
    """The request cannot be served as it is."""


class ContextOverflowError(RequestError):
    """Prompt and answer do not fit the model's context."""

    def __init__(self, prompt_tokens: int, max_tokens: int, context_tokens: int) -> None:
        super().__init__(
            f"the prompt has {prompt_tokens} tokens and the answer may take {max_tokens}, "
            f"but the context holds {context_tokens}; shorten the prompt (`/clear` in a chat), "
            "lower --max-tokens, or open the model with a larger context (PUNA_CONTEXT)"
        )
        self.prompt_tokens = prompt_tokens
        self.max_tokens = max_tokens
        self.context_tokens = context_tokens


class InvalidParameterError(RequestError):
    """A sampling parameter is out of range."""


class TemplateError(RequestError):
    """The chat template refused the messages, ran too long or grew too big."""


class GrammarError(RequestError):
    """A schema, regex or grammar cannot be enforced."""


class ToolGrammarError(GrammarError):
    """A tool's schema cannot be enforced."""


class OverloadError(PunaError):
    """Too many requests are here already; `retry_after_s` says when to come again."""

    def __init__(self, message: str, retry_after_s: float) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class ShutdownError(PunaError):
    """The server is about to end."""


class EngineError(PunaError):
    """The engine stopped, or failed in the middle of a step."""


class NumericError(PunaError):
    """The network produced NaN or infinity."""


class AccountError(PunaError):
    """What an account may not do, or does not have."""


class AuthenticationError(AccountError):
    """No such key, password, session or link; or no longer."""


class ForbiddenError(AccountError):
    """The key's scopes, the user's role or the plan do not allow it."""


class NotFoundError(AccountError):
    """No such tenant, user, key or plan."""


class ConflictError(AccountError):
    """It exists already, or an idempotency key was used for another body."""


class LimitError(AccountError):
    """Not now; `retry_after_s` says when, None if waiting does not help."""

    def __init__(self, message: str, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class RateLimitError(LimitError):
    """Requests or tokens a minute, requests at once, or attempts to sign in."""


class QuotaError(LimitError):
    """The month's tokens are used up."""


class CreditError(LimitError):
    """The prepaid credits do not cover it."""


class PaymentError(AccountError):
    """The payment provider refused, or its message is not genuine."""


class AssistantError(PunaError):
    """What the assistant cannot do with what it was given."""


class FileRefusedError(AssistantError):
    """A file is of no known kind or damaged."""


class TooLargeError(AssistantError):
    """A file or an import is larger than one may be."""


class ToolError(AssistantError):
    """A tool call is not allowed, failed or took too long."""


class RoomError(PunaError):
    """A tenant or person keeps as much as they may, or the disk is almost full."""


class RemoteError(PunaError):
    """A Puna server that was asked does not answer, or refuses."""


class StoreError(PunaError):
    """The database cannot be opened or written; nothing of the attempt is promised."""


class SettingError(PunaError):
    """A PUNA_* variable or an option has an unusable value."""
