"""The unofficial sign-in at Robinhood: password, and then whatever check of a new device Robinhood asks for.

Robinhood documents nothing of it. Facts are from public clients: robin_stocks 3.4.0 (`authentication.py`, the device
workflow since December 2024), pyrh (codes and challenges of before) and pyhood (refresh, limits). Two or three failed
logins lock an account for minutes to hours, so every call here is one action of the person and none is repeated.
"""

import re
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import requests
from django.conf import settings
from django.utils import timezone
from django.views.decorators.debug import sensitive_variables

from connections.brokers import robinhood_oauth
from connections.brokers.auth import TOKEN_DEADLINE, TOKEN_READ_TIMEOUT
from connections.brokers.base import (
    Begun,
    BrokerError,
    Grant,
    KeyField,
    KeysRefused,
    NeedsReauth,
    Question,
    RateLimited,
    Refused,
    UnexpectedReply,
)
from connections.brokers.calls import Attribution, Operation, Outcome
from connections.brokers.records import Broker
from connections.brokers.robinhood_app import API, HEADERS, READING_TOKEN, root, seconds_to_wait
from connections.brokers.transport import CONNECT_TIMEOUT, Judge, Reply, judge

CLIENT_ID = "c82SH0WZOsabOXGP2sxqcj34FxkvfnWRZBKlBjFS"  # of Robinhood's web app; public, the same in every client
CHALLENGE_HEADER = "X-ROBINHOOD-CHALLENGE-RESPONSE-ID"
FORM_TYPE = "application/x-www-form-urlencoded; charset=utf-8"
APPROVED, PENDING = "workflow_status_approved", "workflow_status_internal_pending"
POLL_SECONDS = 10  # polling counts towards the limit of logins
LONGEST_POLL = 120  # seconds; a challenge lives for five minutes
ACCESS_SECONDS = 86400  # if an answer names no end
LONGEST_ACCESS = 366 * 86400
Kept = dict[str, str]

FIELDS = (
    KeyField(
        name="username",
        label="Robinhood e-mail",
        help="The e-mail address you sign in to Robinhood with.",
        is_secret=False,
    ),
    KeyField(
        name="password",
        label="Robinhood password",
        help="It goes to Robinhood for this sign-in. The hub does not store it.",
    ),
)
CODE = KeyField(name="code", label="Code", help="Digits only. It is good for a few minutes.", is_secret=False)
ASKING = {
    "sms": "Robinhood has sent you a code by text message. Enter it here.",
    "email": "Robinhood has sent you a code by e-mail. Enter it here.",
    "app": "Enter the code that your authenticator app shows for Robinhood.",
}
TAP = "Open Robinhood's app on your phone and approve this sign-in. Then it goes on here by itself."
WAIT = "Robinhood is still checking this sign-in. Then it goes on here by itself."


def new_device_token() -> str:
    """In the form of a UUID, but random throughout, as the web app makes it."""
    digits = secrets.token_hex(16)
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


# --- What Robinhood says ----------------------------------------------------------------------------------------------


def in_words(seconds: float) -> str:
    for size, name in ((86400, "day"), (3600, "hour"), (60, "minute")):
        if seconds > size or size == 60:
            count = max(1, -int(-seconds // size))
            return f"{count} {name}{'' if count == 1 else 's'}"
    return ""


def throttled(broker: Broker, reply: Reply) -> RateLimited:
    """A locked login. It says for how long, because each further try makes it longer."""
    seconds = seconds_to_wait(reply)
    sentence = (
        f"{broker.label} takes no sign-in for this login now. Wait {in_words(seconds)} before you try again: "
        "a try before that makes it longer."
    )
    return RateLimited(sentence, retry_at=timezone.now() + timedelta(seconds=seconds))


def judge_login(broker: Broker, reply: Reply) -> tuple[Outcome, Attribution, BrokerError | None]:
    """A refusal in JSON is an answer, which the dialogue understands; only what is none is an error here."""
    if reply.status == 429:
        return Outcome.RATE_LIMITED, Attribution.CREDENTIAL, throttled(broker, reply)
    if reply.status in (400, 401, 403, 404) and isinstance(reply.data, dict):
        return Outcome.UNAUTHORIZED, Attribution.CREDENTIAL, None
    if reply.status == 200 and reply.is_json and not isinstance(reply.data, dict):
        return Outcome.BAD_REPLY, Attribution.BROKER, _strange()
    return judge(broker, reply)


def judge_refresh(broker: Broker, reply: Reply) -> tuple[Outcome, Attribution, BrokerError | None]:
    if reply.status == 429:
        return Outcome.RATE_LIMITED, Attribution.CREDENTIAL, throttled(broker, reply)
    return robinhood_oauth.judge_token(broker, reply, dead=_lapsed)


def _lapsed() -> NeedsReauth:
    return NeedsReauth("Robinhood wants you to sign in again.", reason_code="refresh_refused")


def _strange() -> UnexpectedReply:
    return UnexpectedReply("Robinhood's sign-in answered in a form the hub does not know.")


def _over() -> KeysRefused:
    return KeysRefused("Robinhood's check of this sign-in has failed or run out. Please begin once more.")


def _detail(said: Mapping[str, Any]) -> str:
    errors = said.get("non_field_errors")
    return str(said.get("detail") or (errors[0] if isinstance(errors, list) and errors else ""))


def _object(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _id_of(thing: Mapping[str, Any]) -> str:
    """An id that may be part of an address. Raises UnexpectedReply."""
    found = thing.get("id")
    if not isinstance(found, str) or not re.fullmatch(r"[\w-]+", found):
        raise _strange()
    return found


def _grant(said: Mapping[str, Any], device_token: str) -> Grant:
    """Tokens with the device they are bound to. Raises UnexpectedReply."""
    try:
        kept = {name: said[name] for name in ("access_token", "refresh_token")}
        seconds = min(int(said.get("expires_in") or ACCESS_SECONDS), LONGEST_ACCESS)
    except (KeyError, TypeError, ValueError):
        raise _strange() from None
    kept |= {"device_token": device_token}
    if reading := said.get("read_only_secondary_access_token"):
        kept[READING_TOKEN] = reading
    if not all(isinstance(value, str) and value for value in kept.values()):
        raise _strange()
    ends = timezone.now() + timedelta(seconds=seconds)
    return Grant(secrets=kept, access_expires_at=ends, authorization_expires_at=None)


# --- The dialogue -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class RobinhoodLogin:
    """A `Dialogue`. `kept` holds the password until the sign-in is over, and `step`, which answer is waited for."""

    redirect_uri: str = ""

    def begin(self, *, state: str) -> Begun:
        raise Refused("Robinhood's unofficial login has no sign-in page: enter your e-mail and password in the hub.")

    def complete(self, *, answer: Mapping[str, str], kept: Mapping[str, str], at: datetime) -> Grant:
        raise Refused("Robinhood's unofficial login asks one thing after the other: begin it on its page in the hub.")

    @sensitive_variables()
    def open(self, answer: Mapping[str, str], former: Mapping[str, Any]) -> Grant | Question:
        """One login, as the same device as in the sign-in before, which Robinhood then need not check again.

        Raises KeysRefused with the field that is wrong, RateLimited with the end of a lock, or another BrokerError.
        """
        kept = {"username": answer.get("username", "").strip(), "password": answer.get("password", "")}
        for each in FIELDS:
            if not kept[each.name]:
                raise KeysRefused(f"Enter your {each.label[0].upper()}{each.label[1:]}.", field=each.name)
        kept["device_token"] = former.get("device_token") or new_device_token()
        return self._log_in(kept)

    @sensitive_variables()
    def reply(self, kept: Mapping[str, str], answer: Mapping[str, str]) -> Grant | Question:
        """The next step after the person's code, or after another while of waiting. Raises as `open`."""
        kept, step = dict(kept), kept.get("step", "")
        if step == "prompt":
            return self._look(kept)
        if step == "wait":
            return self._proceed(kept)
        if step not in ("mfa", "legacy", "code"):
            raise _over()
        code = "".join(answer.get("code", "").split())
        if not (code.isascii() and code.isdigit()):
            return _ask_code(kept, "Enter the code: it consists of digits only.")
        if step == "mfa":
            return self._log_in(kept | {"mfa_code": code})
        if (again := self._respond(kept, code)) is not None:
            return again
        return self._proceed(kept) if step == "code" else self._log_in(kept, answered=kept["challenge"])

    @sensitive_variables()
    def _log_in(self, kept: Kept, *, is_checked: bool = False, answered: str = "") -> Grant | Question:
        """POST the login once. `is_checked`: the device has just been; `answered`: the old challenge that has been."""
        form = _form("password", kept["device_token"]) | {
            "username": kept["username"],
            "password": kept["password"],
            "try_passkeys": "False",
            "token_request_path": "/login",  # nosec B105  # a word of the protocol
        }
        if "mfa_code" in kept:
            form["mfa_code"] = kept["mfa_code"]
        more = {CHALLENGE_HEADER: answered} if answered else {}
        said = self._call("POST", "/oauth2/token/", data=form, more=more).data
        if "access_token" in said:
            return _grant(said, kept["device_token"])
        if said.get("mfa_required") is True:
            way = "sms" if said.get("mfa_type") == "sms" else "app"
            return _ask_code(kept | {"step": "mfa", "way": way})
        workflow, challenge = _object(said.get("verification_workflow")), _object(said.get("challenge"))
        if (workflow or challenge) and (is_checked or answered):
            raise _over()
        if workflow:
            return self._check_device(kept, str(workflow.get("id", "")))
        if challenge:
            return _ask_code(kept | {"step": "legacy", "challenge": _id_of(challenge), "way": "sms"})
        raise_wrong_field(said)
        if "valid code" in _detail(said) and "mfa_code" in kept:
            left = {name: value for name, value in kept.items() if name != "mfa_code"}
            return _ask_code(left | {"step": "mfa"}, "That code was not right. Wait for the next one and enter it.")
        if "provided credentials" in _detail(said):
            raise KeysRefused(
                "Robinhood does not know this e-mail with this password. Take care: after two or three wrong ones it "
                "locks the login for minutes to hours.",
                field="password",
            )
        raise _strange()

    # The workflow of a new device ("sheriff")

    def _check_device(self, kept: Kept, workflow_id: str) -> Grant | Question:
        asked = {"device_id": kept["device_token"], "flow": "suv", "input": {"workflow_id": workflow_id}}
        machine = _id_of(self._call("POST", "/pathfinder/user_machine/", json=asked).data)
        kept = kept | {"machine": machine}
        view = self._call("GET", f"/pathfinder/inquiries/{machine}/user_view/").data
        return self._next(view, kept, may_proceed=True)

    def _next(self, view: Mapping[str, Any], kept: Kept, *, may_proceed: bool) -> Grant | Question:
        """What a view of the workflow asks for. The challenge has moved in it over time: both places are read."""
        told = _object(view.get("type_context"))
        if told.get("result") == APPROVED:
            return self._log_in(kept, is_checked=True)
        context, former = _object(view.get("context")), _object(told.get("context"))
        challenge = _object(context.get("sheriff_challenge")) or _object(former.get("sheriff_challenge"))
        status = challenge.get("status")
        if status == "issued":
            return _ask(challenge, kept)
        if status == "validated" and may_proceed:
            return self._proceed(kept)
        if status == "validated" or _object(view.get("verification_workflow")).get("workflow_status") == PENDING:
            return Question(text=WAIT, kept=kept | {"step": "wait"}, poll_seconds=POLL_SECONDS)
        if status in ("failed", "expired") or _detail(view) == "Not found." or "result" in told:
            raise _over()
        raise _strange()

    def _proceed(self, kept: Kept) -> Grant | Question:
        """Tell the workflow that its challenge is met; when it says so too, log in once more as the same device."""
        said = {"sequence": 0, "user_input": {"status": "continue"}}
        view = self._call("POST", f"/pathfinder/inquiries/{kept['machine']}/user_view/", json=said).data
        return self._next(view, kept, may_proceed=False)

    def _look(self, kept: Kept) -> Grant | Question:
        """Whether the phone has said yes. A limit met while polling ends nothing: the page looks less often."""
        try:
            said = self._call("GET", f"/push/{kept['challenge']}/get_prompts_status/").data
        except RateLimited as error:
            wait = (error.retry_at - timezone.now()).total_seconds() if error.retry_at else LONGEST_POLL
            if wait > LONGEST_POLL:
                raise
            return Question(text=TAP, kept=kept, poll_seconds=max(POLL_SECONDS, int(wait) + 1))
        status = said.get("challenge_status")
        if status == "issued":
            return Question(text=TAP, kept=kept, poll_seconds=POLL_SECONDS)
        if status == "validated":
            return self._proceed(kept)
        if status in ("failed", "expired", "denied") or _detail(said) == "Not found.":
            raise _over()
        raise _strange()

    def _respond(self, kept: Kept, code: str) -> Question | None:
        """None when the code was right; otherwise ask once more, while tries are left. Raises KeysRefused after."""
        said = self._call("POST", f"/challenge/{kept['challenge']}/respond/", data={"response": code}).data
        challenge = _object(said.get("challenge")) or said
        if challenge.get("status") == "validated":
            return None
        left = challenge.get("remaining_attempts")
        if challenge.get("status") == "issued" and isinstance(left, int) and left > 0:
            tries = f"{left} {'try is' if left == 1 else 'tries are'} left"
            return _ask_code(kept, f"That code was not right; {tries}. Enter it once more.")
        if challenge.get("status") in ("issued", "failed", "expired") or _detail(said) == "Not found.":
            raise _over()
        raise _strange()

    # Tokens that are there

    def refresh(self, grant: Grant) -> Grant:
        """A new pair; the old one is dead from then on. Raises NeedsReauth, also when the device is checked again."""
        device_token = grant.secrets["device_token"]
        form = _form("refresh_token", device_token) | {"refresh_token": grant.secrets["refresh_token"]}
        said = self._call("POST", "/oauth2/token/", Operation.REFRESH, judge_refresh, data=form).data
        return _grant(_object(said), device_token)

    def revoke(self, grant: Grant) -> None:
        """End the grant. What is answered is not known but for its status: any 2xx is done."""
        form = {"client_id": CLIENT_ID, "token": grant.secrets["refresh_token"]}
        self._call("POST", "/oauth2/revoke_token/", judging=robinhood_oauth.judge_revocation, data=form)

    @sensitive_variables()
    def _call(
        self,
        method: str,
        path: str,
        operation: Operation = Operation.SIGN_IN,
        judging: Judge = judge_login,
        *,
        more: Mapping[str, str] | None = None,
        **body: Any,
    ) -> Reply:
        """One attempt; `body` is `data` (a form) or `json`."""
        way = robinhood_oauth.wire()
        headers = {**HEADERS, **({"Content-Type": FORM_TYPE} if "data" in body else {}), **(more or {})}

        def send() -> requests.Response:
            timeout = (CONNECT_TIMEOUT, min(settings.BROKER_READ_TIMEOUT, TOKEN_READ_TIMEOUT))
            return way.session.request(
                method, root(API) + path, headers=headers, timeout=timeout, allow_redirects=False, stream=True, **body
            )

        return way.exchange(operation, send, judge=judging, deadline=time.monotonic() + TOKEN_DEADLINE)


def _form(grant_type: str, device_token: str) -> dict[str, str]:
    """What every request for tokens says. `expires_in` is what others ask for; Robinhood decides by itself."""
    return {
        "client_id": CLIENT_ID,
        "grant_type": grant_type,
        "scope": "internal",
        "expires_in": str(ACCESS_SECONDS),
        "device_token": device_token,
        "create_read_only_secondary_token": "True",  # nosec B105  # a word of the protocol
    }


def _ask(challenge: Mapping[str, Any], kept: Kept) -> Question:
    way = str(challenge.get("type", ""))
    kept = kept | {"challenge": _id_of(challenge), "way": way}
    if way == "prompt":
        return Question(text=TAP, kept=kept | {"step": "prompt"}, poll_seconds=POLL_SECONDS)
    if way not in ASKING:
        raise UnexpectedReply("Robinhood checks this sign-in in a way the hub does not know.")
    return _ask_code(kept | {"step": "code"})


def _ask_code(kept: Kept, text: str = "") -> Question:
    return Question(text=text or ASKING[kept["way"]], kept=kept, fields=(CODE,))


def raise_wrong_field(said: Mapping[str, Any]) -> None:
    """Raise KeysRefused for a complaint about a field: `{"password": ["This field may not be blank."]}`."""
    for each in FIELDS:
        if isinstance(said.get(each.name), list):
            raise KeysRefused(f"Robinhood does not take this: {each.label}. Enter it once more.", field=each.name)
