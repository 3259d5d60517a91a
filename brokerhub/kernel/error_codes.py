"""Every code that the API can answer, in one table: answers, the schema and the page of codes are made from it.

A code is a contract and never changes its meaning; new ones may come, so a program treats one that it does not know
like its status. `say` is what a program may show to the person who uses it; None where the answer's own `detail` is
such a sentence already. The fields and their names follow https://plaid.com/docs/errors/.
"""

from dataclasses import dataclass

MEND = "Mend the field that attr names, and send the request again."
ASK_AGAIN = "Send the request again later, after Retry-After seconds where that header is given."
NEW_TOKEN = "Make a new token on the page API tokens, and send it in the header Authorization."  # nosec B105  # a sentence
TELL_US = "Nothing in the request has to change. Tell whoever runs the hub the request_id."
FILE = "Show detail to the person, and let them choose another file or another format."
BROKER_OFF = (
    "Look at /api/v1/broker/health/{broker}, and send the request again later. If it stays, tell the request_id."
)
BEGIN_ANEW = "Ask POST /api/v1/brokerage/oauth/initiate for a new address, and let the person sign in once more."
NOT_NOW = "Read the object again and decide by its state; the same request will not do before it has changed."


@dataclass(frozen=True, slots=True)
class ErrorCode:
    """`means` is for developers, `do` the suggested action, `say` the message for people."""

    code: str
    means: str
    do: str
    say: str | None = None


def _fields(**meanings: str) -> list[ErrorCode]:
    """Codes about one field of a request; their `detail` is a sentence for people."""
    return [ErrorCode(code, means, MEND) for code, means in meanings.items()]


UNREADABLE = "The program sent something that the hub cannot read."
WRONG_PROGRAM = "The program asked for something that the hub does not offer."
NO_ACCESS = "The program has no valid access to the hub. Give it a new token."

BAD_REQUEST = [
    ErrorCode("parse_error", "The body is not what its Content-Type says.", "Send valid JSON in UTF-8.", UNREADABLE),
    ErrorCode("invalid_request", "The request, or a value in its address, is not understood.", MEND),
    *_fields(
        required="The field is missing.",
        null="The field may not be null.",
        blank="The text may not be empty.",
        empty="The list, the object or the file may not be empty.",
        invalid="The value is not of the form that the field takes.",
        invalid_choice="The value is none of those the field takes.",
        does_not_exist="There is no such object, or it belongs to somebody else.",
        incorrect_type="The value has another type than the field.",
        not_a_list="A list was expected.",
        not_a_dict="An object was expected.",
        max_length="The text or the list is too long.",
        min_length="The text or the list is too short.",
        max_value="The number is too large.",
        min_value="The number is too small.",
        max_digits="The number has too many digits.",
        max_decimal_places="The number has too many decimal places.",
        max_whole_digits="The number has too many digits before its decimal point.",
        max_string_length="The text is too long for a number.",
        overflow="The value is out of range.",
        date="A time was expected, and a date came.",
        datetime="A date was expected, and a time came.",
        make_aware="There is no such time in its zone.",
        no_name="The file has no name.",
        unique="There is one already with this value.",
        surrogate_characters_not_allowed="The text holds half a character.",
        null_characters_not_allowed="The text holds a NUL character.",
    ),
    ErrorCode("too_large", "The file is larger than the hub takes.", "Send a smaller file, or send it in parts."),
    ErrorCode("invalid_cursor", "The cursor is not one of this feed.", "Begin the feed anew, without a cursor."),
    ErrorCode("invalid_schedule", "The hours between two syncs are not between one and a week.", MEND),
    ErrorCode("sign_in_failed", "The way back from the broker is unknown, used or too old.", BEGIN_ANEW),
    ErrorCode("consent_denied", "The person said no on the broker's page.", BEGIN_ANEW),
    ErrorCode("keys_refused", "The broker does not take a key that was typed; attr names it.", MEND),
    ErrorCode("address_refused", "The hub sends no webhook to this address.", MEND),
    ErrorCode("file_unreadable", "The file is no table of text.", FILE),
    ErrorCode("file_not_read", "The file cannot be imported as it is.", FILE),
    ErrorCode("file_refused", "The file is not taken, and nothing of it is kept.", FILE),
    ErrorCode("export_refused", "The export cannot be read back.", FILE),
    ErrorCode("mapping_refused", "The mapping of the file's columns cannot be used.", MEND),
    ErrorCode(
        "row_not_readable",
        "The row says nowhere when or how much, or it moves units.",
        "Leave the row parked, and tell whoever runs the hub: its word needs a rule of the hub.",
    ),
    ErrorCode("against_the_rules", "The text breaks a rule for texts.", "Show detail, and let the person reword it."),
]

UNAUTHORIZED = [
    ErrorCode("not_authenticated", "Neither a token nor a session came with the request.", NEW_TOKEN, NO_ACCESS),
    ErrorCode("authentication_failed", "The Authorization header is not of a known form.", NEW_TOKEN, NO_ACCESS),
    ErrorCode("token_invalid", "The token is not known; it may have been revoked.", NEW_TOKEN, NO_ACCESS),
    ErrorCode("token_expired", "The token's time is over.", NEW_TOKEN, "The program's access to the hub has run out."),
    ErrorCode("user_inactive", "The account of the token's owner is switched off.", TELL_US),
]

FORBIDDEN = [
    ErrorCode(
        "scope_missing",
        "The token lacks the scope that detail names.",
        "Make a token that has the scope.",
        "The program may not do this with the access you gave it.",
    ),
    ErrorCode(
        "reauthentication_required",
        "The browser's session has to confirm first who it is; a token never has.",
        "Let the person confirm at /accounts/reauthenticate/, then send the request again.",
        "Confirm first that it is you.",
    ),
    ErrorCode("permission_denied", "The person may not do this.", "Do not ask for it again.", "You may not do this."),
    ErrorCode(
        "https_required",
        "The request came without TLS, and with it whatever token it carried.",
        "Call the API with https, and revoke the token that was sent without it.",
        "The program has to talk to the hub over https.",
    ),
    ErrorCode(
        "csrf_failed",
        "The browser's session came without its CSRF token.",
        "Send the cookie csrftoken in the header X-CSRFToken, or use a token instead of the session.",
        "This page is out of date. Reload it and try again.",
    ),
]

NOT_FOUND = [
    ErrorCode(
        "not_found",
        "There is nothing at this address, or it belongs to somebody else.",
        "Check the address and the id; forget an object that was there before.",
        "This is not there (any more).",
    ),
    ErrorCode("unknown_broker", "The comparison knows no such broker; detail lists those it knows.", MEND),
]

CONFLICT = [
    ErrorCode("conflict", "The object's state forbids this now; detail says why.", NOT_NOW),
    ErrorCode(
        "needs_reauth",
        "The broker wants the person to sign in again.",
        BEGIN_ANEW,
    ),
    ErrorCode("different_login", "The sign-in belongs to another login than the connection.", BEGIN_ANEW),
    ErrorCode(
        "counted_twice", "Another connection brings the same account already.", "Use the connection that has it."
    ),
    ErrorCode(
        "broker_not_configured",
        "The hub has no app key at this broker yet.",
        "Let an administrator set the app keys that detail names.",
    ),
    ErrorCode(
        "idempotency_key_in_use",
        "The first request with this Idempotency-Key is still being worked on.",
        "Send the same request with the same key again in a few seconds.",
        "This is being done already. Wait a moment.",
    ),
    ErrorCode(
        "idempotency_outcome_unknown",
        "The first request with this Idempotency-Key was cut off, and nobody knows how far it came.",
        "Look whether it was done. If not, send it with a new key.",
        "It is not known whether this was done. Have a look before you try again.",
    ),
]

METHOD_NOT_ALLOWED = [
    ErrorCode("method_not_allowed", "The address has no such method.", "Use one that Allow names.", WRONG_PROGRAM),
]

NOT_ACCEPTABLE = [
    ErrorCode("not_acceptable", "There is no answer of the form that Accept asks for.", "Accept JSON.", WRONG_PROGRAM),
]

TOO_LARGE = [
    ErrorCode("too_large", "The body is larger than the hub takes.", "Send less at once.", "This is too large."),
]

UNSUPPORTED_TYPE = [
    ErrorCode(
        "unsupported_media_type",
        "The body's Content-Type is not one of the operation.",
        "Send one of the types that the operation names, mostly application/json.",
        UNREADABLE,
    ),
]

KEY_REUSED = [
    ErrorCode(
        "idempotency_key_reused",
        "The Idempotency-Key was used before, for another request.",
        "Make a new key for each request; send an old key only with the very same body.",
        "The program sent two different requests as if they were one.",
    ),
]

TOO_MANY = [
    ErrorCode(
        "throttled",
        "The budget of requests is used up.",
        "Wait for Retry-After seconds, and ask less often from then on: RateLimit-Remaining tells what is left.",
    ),
]

OUR_FAULT = [
    ErrorCode("error", "A mistake of the hub. It has been logged.", TELL_US, "Something went wrong in the hub."),
]

BAD_GATEWAY = [
    ErrorCode("broker_error", "The broker did not give what was asked for.", BROKER_OFF),
    ErrorCode("unexpected_reply", "The broker answered in a form that the hub does not know.", BROKER_OFF),
    ErrorCode("broker_refused", "The broker refused this one request; asking again will not help.", BROKER_OFF),
    ErrorCode(
        "app_credentials_refused",
        "The broker refuses the hub's own app key.",
        "Let an administrator enter the broker's app keys anew.",
    ),
    ErrorCode("rates_unreadable", "The file of exchange rates did not come, or is not what it should be.", ASK_AGAIN),
]

UNAVAILABLE = [
    ErrorCode("broker_unavailable", "The broker cannot be reached.", ASK_AGAIN),
    ErrorCode("broker_maintenance", "The broker is under maintenance.", ASK_AGAIN),
    ErrorCode("broker_rate_limited", "The broker's limit, or the hub's own for it, is used up.", ASK_AGAIN),
    ErrorCode("still_pricing", "Too many transactions for one answer; they are priced in the background.", ASK_AGAIN),
    ErrorCode(
        "service_unavailable",
        "A part of the hub cannot be reached.",
        ASK_AGAIN,
        "A part of the hub cannot be reached right now. Try again in a moment.",
    ),
]


@dataclass(frozen=True, slots=True)
class Status:
    """`name` is what the schema calls this answer; `code` names the entry that stands for words not in the table."""

    name: str
    means: str
    codes: list[ErrorCode]
    code: str = ""

    @property
    def general(self) -> ErrorCode:
        return next((entry for entry in self.codes if entry.code == self.code), self.codes[0])


BY_STATUS: dict[int, Status] = {
    400: Status("BadRequest", "The request is not understood.", BAD_REQUEST, "invalid"),
    401: Status("Unauthorized", "No valid token or session.", UNAUTHORIZED, "authentication_failed"),
    403: Status(
        "Forbidden",
        "The token lacks the scope, or the session has to confirm who it is first.",
        FORBIDDEN,
        "permission_denied",
    ),
    404: Status("NotFound", "It does not exist, or belongs to somebody else.", NOT_FOUND),
    405: Status("MethodNotAllowed", "The address has no such method.", METHOD_NOT_ALLOWED),
    406: Status("NotAcceptable", "The answer cannot have the form that Accept asks for.", NOT_ACCEPTABLE),
    409: Status("Conflict", "Its state forbids this now.", CONFLICT),
    413: Status("TooLarge", "The body is too large.", TOO_LARGE),
    415: Status("UnsupportedMediaType", "The body is of a type that the operation does not take.", UNSUPPORTED_TYPE),
    422: Status("KeyReused", "The Idempotency-Key was used for another request.", KEY_REUSED),
    429: Status("TooManyRequests", "Too many requests; wait for Retry-After seconds.", TOO_MANY),
    500: Status("Internal", "A mistake of the hub.", OUR_FAULT),
    502: Status("BadGateway", "The broker's answer was of no use.", BAD_GATEWAY),
    503: Status(
        "Unavailable",
        "The broker, or a part of the hub, cannot be reached now; try later.",
        UNAVAILABLE,
        "service_unavailable",
    ),
}
_ENTRIES = {(status, entry.code): entry for status, answer in BY_STATUS.items() for entry in answer.codes}


def entry_for(status: int, code: str) -> ErrorCode:
    """The table's entry for what is about to be answered; the general one of its status for a word not in the table.

    So a program never meets a code that the schema does not name; `tests/api/test_error_codes.py` finds such words.
    """
    return _ENTRIES.get((status, code)) or BY_STATUS[status].general
