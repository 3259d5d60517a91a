"""What this hub itself does at a broker today, feature by feature: read off the ways to connect that it offers."""

from connections.brokers import BrokerEntry, offered

FILES = "Files"


def _entries(broker: str) -> list[BrokerEntry]:
    return [entry for entry in offered() if entry.broker == broker]


def ways_in(broker: str) -> list[str]:
    """How this hub reads accounts there today; a file of the broker's own is always possible."""
    return [*dict.fromkeys(entry.method.label for entry in _entries(broker)), FILES]


def of(broker: str, feature: str) -> str:
    """What of one feature of the group "hub" this hub uses there, as a sentence without its full stop."""
    entries = _entries(broker)
    match feature:
        case "api_read":
            return "This hub reads it" if entries else "This hub reads files only"
        case "api_trade":
            return "This hub never places orders"
        case "api_oauth":  # where no keys are typed in, people sign in at the broker
            return "This hub uses it" if any(not entry.fields for entry in entries) else "This hub does not use it"
        case "api_paper":
            return "This hub does not use it"
    return ""
