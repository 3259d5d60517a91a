"""The desk at which the app's own login is checked: devices that are known, challenges, too many failures."""

import uuid
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from connections.sandbox.clock import Clock

CODE = "123456"  # what every text message, e-mail and authenticator of the sandbox says
PROMPT, SMS, EMAIL, APP, MFA, LEGACY, NONE = "prompt", "sms", "email", "app", "mfa", "legacy", "none"
WAYS = (PROMPT, SMS, EMAIL, APP, MFA, LEGACY, NONE)
TRIES = 3
CHALLENGE_LIFETIME = timedelta(minutes=5)
FAILURES_ALLOWED, FAILURE_WINDOW = 3, timedelta(minutes=10)
POLLS_BEFORE_APPROVAL = 2
ISSUED, VALIDATED, FAILED, EXPIRED = "issued", "validated", "failed", "expired"


@dataclass(slots=True)
class Policy:
    """How a person's sign-in is checked. `approve_after` polls a prompt is approved by itself; None: by hand only."""

    way: str = PROMPT
    approve_after: int | None = POLLS_BEFORE_APPROVAL


@dataclass(slots=True)
class Challenge:
    """One question asked of a person, inside the workflow that began with the login of a device."""

    login: str
    device: str
    way: str
    expires_at: datetime
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    workflow_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    machine_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    status: str = ISSUED
    tries_left: int = TRIES
    polls: int = 0


class Desk:
    """Callers hold the world's lock."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.forget()

    def forget(self) -> None:
        self.policies: dict[str, Policy] = {}
        self._known: set[tuple[str, str]] = set()
        self._challenges: list[Challenge] = []
        self._failures: dict[str, list[datetime]] = {}

    def policy(self, login: str) -> Policy:
        return self.policies.setdefault(login, Policy())

    # Failures

    def throttled_for(self, login: str) -> int:
        """Seconds until this login may be tried again; 0 when it may now."""
        now = self.clock.now()
        recent = [moment for moment in self._failures.get(login, []) if now - FAILURE_WINDOW < moment <= now]
        self._failures[login] = recent
        if len(recent) < FAILURES_ALLOWED:
            return 0
        return int((recent[-FAILURES_ALLOWED] + FAILURE_WINDOW - now).total_seconds()) + 1

    def note_failure(self, login: str) -> None:
        self._failures.setdefault(login, []).append(self.clock.now())

    # Devices and challenges

    def knows(self, login: str, device: str) -> bool:
        return (login, device) in self._known

    def accept(self, login: str, device: str) -> None:
        self._known.add((login, device))
        self._failures.pop(login, None)

    def challenge(self, login: str, device: str, way: str) -> Challenge:
        """A new challenge for this device."""
        challenge = Challenge(login, device, way, self.clock.now() + CHALLENGE_LIFETIME)
        self._challenges.append(challenge)
        return challenge

    def find(self, **wanted: str) -> Challenge | None:
        """The newest challenge with these facts."""
        for challenge in reversed(self._challenges):
            if all(getattr(challenge, name) == value for name, value in wanted.items()):
                self._age(challenge)
                return challenge
        return None

    def poll(self, challenge: Challenge) -> str:
        """Ask how a prompt stands; it may be approved meanwhile, as its person's policy says."""
        challenge.polls += 1
        limit = self.policy(challenge.login).approve_after
        if challenge.status == ISSUED and limit is not None and challenge.polls >= limit:
            self._validate(challenge)
        return challenge.status

    def respond(self, challenge: Challenge, code: str) -> bool:
        """Whether the code was right. After three wrong ones the challenge has failed."""
        if challenge.status != ISSUED:
            return False
        if code == CODE:
            self._validate(challenge)
            return True
        challenge.tries_left -= 1
        if not challenge.tries_left:
            challenge.status = FAILED
        return False

    def decide(self, challenge: Challenge, *, approve: bool) -> None:
        """What the person taps on their phone."""
        if approve:
            self._validate(challenge)
        else:
            challenge.status = FAILED

    def _validate(self, challenge: Challenge) -> None:
        challenge.status = VALIDATED
        self.accept(challenge.login, challenge.device)

    def _age(self, challenge: Challenge) -> None:
        if challenge.status == ISSUED and self.clock.now() >= challenge.expires_at:
            challenge.status = EXPIRED
