"""The keys a person brings for Interactive Brokers' Web API: each wrong part has its own sentence, at its own field."""

import base64

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from django.db import connection as database
from django.urls import reverse
from django.utils import timezone

from connections import connection_manager
from connections.brokers.base import KeysRefused, NeedsReauth
from connections.brokers.ibkr_keys import Consumer, dh_parameters, private_key
from connections.brokers.ibkr_oauth import KeysSignIn
from connections.brokers.records import AuthMethod
from connections.models import Connection

# RFC 7919's group ffdhe2048, as `openssl dhparam` writes it
DH_FILE = """-----BEGIN DH PARAMETERS-----
MIIBDAKCAQEA//////////+t+FRYortKmq/cViAnPTzx2LnFg84tNpWp4TZBFGQz
+8yTnc4kmz75fS/jY2MMddj2gbICrsRhetPfHtXV/WVhJDP1H18GbtCFY2VVPe0a
87VXE15/V8k1mE8McODmi3fipona8+/och3xWKE2rec1MKzKT0g6eXq8CrGCsyT7
YdEIqUuyyOP7uWrat2DX9GgdT0Kj3jlN9K5W7edjcrsZCwenyO4KbXCeAvzhzffi
7MA0BM0oNC9hkXL+nOmFg/+OTxIy7vKBg8P+OxtMb61zO7X8vC7CIAXFjvGDfRaD
ssbzSibBsu/6iGtCOGEoXJf//////////wIBAgICAOE=
-----END DH PARAMETERS-----
"""
SECRET = bytes(range(32))


def pem(key, *, password=None, form=serialization.PrivateFormat.PKCS8):
    lock = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, form, lock).decode()


def public_pem(key):
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return key.public_key().public_bytes(serialization.Encoding.PEM, form).decode()


@pytest.fixture(scope="module")
def signing():
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@pytest.fixture(scope="module")
def encryption():
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@pytest.fixture
def typed(signing, encryption):
    sealed = encryption.public_key().encrypt(SECRET, padding.PKCS1v15())
    return {
        "consumer_key": "ADASKEYSA",
        "access_token": "a1b2c3d4e5f6a7b8c9d0",
        "access_token_secret": base64.b64encode(sealed).decode(),
        "signing_key": pem(signing),
        "encryption_key": pem(encryption),
        "dh_param": DH_FILE,
    }


def refused(typed, **changes):
    """What the hub says to these keys before it asks the broker."""
    with pytest.raises(KeysRefused) as caught:
        KeysSignIn().complete(answer=typed | changes, kept={}, at=timezone.now())
    return caught.value.field, str(caught.value)


def test_right_keys_are_read(typed, signing):
    consumer = Consumer.of(typed, dh="dh_param")
    assert (consumer.key, consumer.realm, consumer.generator) == ("ADASKEYSA", "limited_poa", 2)
    assert consumer.signing.private_numbers() == signing.private_numbers()
    assert consumer.secret_of(typed["access_token_secret"]) == SECRET
    assert "PRIVATE" not in repr(consumer)
    assert str(consumer.prime) not in repr(consumer)


def test_a_consumer_key_is_written_in_capitals_and_the_test_consumer_has_its_own_realm(typed):
    assert Consumer.of(typed | {"consumer_key": " adaskeysa "}, dh="dh_param").key == "ADASKEYSA"
    assert Consumer.of(typed | {"consumer_key": "TESTCONS"}, dh="dh_param").realm == "test_realm"


def test_lines_lost_on_the_way_are_found_again(signing):
    whole = pem(signing)
    for mangled in (whole.replace("\n", " "), whole.replace("\n", "\\n"), whole.replace("\n", "\r\n"), f"\n {whole} "):
        assert private_key(mangled, "signing_key").private_numbers() == signing.private_numbers()
    old_form = pem(signing, form=serialization.PrivateFormat.TraditionalOpenSSL)
    assert private_key(old_form, "signing_key").private_numbers() == signing.private_numbers()
    assert dh_parameters(DH_FILE.replace("\n", ""), "dh_param") == dh_parameters(DH_FILE, "dh_param")


def test_parameters_may_be_told_by_their_prime_alone():
    prime, generator = dh_parameters(DH_FILE, "dh_param")
    assert dh_parameters(f"{prime:x}", "dh_param") == dh_parameters(f" 0x{prime:X}\n", "dh_param") == (prime, 2)
    assert generator == 2


@pytest.mark.parametrize("name", ["signing_key", "encryption_key"])
def test_a_key_that_is_none_is_told_from_the_others(typed, signing, name):
    short = rsa.generate_private_key(public_exponent=65537, key_size=1024)
    curve = ec.generate_private_key(ec.SECP256R1())
    whole = pem(signing).splitlines(keepends=True)
    for wrong, words in [
        ("", "Paste the whole text"),
        ("ssh-rsa AAAA", "Paste the whole text"),
        ("".join(whole[:5]), "Paste the whole text"),
        ("".join([*whole[:5], *whole[8:]]), "damaged"),
        (public_pem(signing), "public key"),
        (DH_FILE, "Diffie-Hellman parameters"),
        ("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----", "certificate"),
        (pem(signing, password=b"geheim"), "password"),
        (pem(signing, password=b"geheim", form=serialization.PrivateFormat.TraditionalOpenSSL), "password"),
        (pem(curve), "RSA"),
        (pem(short), "1024 bits"),
    ]:
        field, sentence = refused(typed, **{name: wrong})
        assert (field, words in sentence) == (name, True), sentence


def test_parameters_that_are_none_are_told_from_the_others(typed, signing):
    prime, _ = dh_parameters(DH_FILE, "dh_param")
    lines = DH_FILE.splitlines(keepends=True)
    for wrong, words in [
        ("", "Paste the whole text"),
        (pem(signing), "BEGIN DH PARAMETERS"),
        ("".join([*lines[:3], *lines[4:]]), "damaged"),
        (f"{prime + 2:x}", "not a prime"),
        (f"{prime:x}"[:256], "1024 bits"),
    ]:
        field, sentence = refused(typed, dh_param=wrong)
        assert (field, words in sentence) == ("dh_param", True), sentence


def test_what_belongs_together_is_seen_to_belong_together(typed, signing, encryption):
    other = pem(rsa.generate_private_key(public_exponent=65537, key_size=2048))
    assert refused(typed, encryption_key=other)[0] == "access_token_secret"
    assert refused(typed, access_token_secret=typed["access_token_secret"][:-8])[0] == "access_token_secret"
    assert refused(typed, access_token_secret="Ada's secret")[0] == "access_token_secret"
    swapped = {"signing_key": pem(encryption), "encryption_key": pem(signing)}
    assert refused(typed, **swapped) == (
        "encryption_key",
        "The signing key and the encryption key have changed places.",
    )


@pytest.mark.parametrize(
    ("name", "wrong"),
    [("consumer_key", ""), ("consumer_key", "ADA'S KEY"), ("access_token", "a b"), ("access_token", "")],
)
def test_a_word_that_can_be_no_key_never_leaves_the_hub(typed, name, wrong):
    assert refused(typed, **{name: wrong})[0] == name


# --- At the broker ----------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("unpaced")
def test_keys_that_look_right_are_tried_at_the_broker_before_they_are_kept(person, sandbox, ibkr_keys):
    def tried(**changes):
        with pytest.raises(KeysRefused) as caught:
            connection_manager.connect_with_keys(user=person, method=AuthMethod.IBKR_KEYS, keys=ibkr_keys | changes)
        return caught.value.field, str(caught.value)

    field, sentence = tried(consumer_key="NOTMYKEYS")
    assert (field, "nightly reset" in sentence) == ("consumer_key", True)
    other = pem(rsa.generate_private_key(public_exponent=65537, key_size=2048))
    assert tried(signing_key=other)[0] == "signing_key"
    sandbox.control("ibkr/keys", "POST", consumer_key="MARIAKEYS")  # a new token ends the one before
    field, sentence = tried()
    assert (field, "new token" in sentence) == ("access_token", True)
    assert not Connection.objects.filter(user=person).exists()


@pytest.mark.usefixtures("unpaced")
def test_keys_that_end_later_ask_for_new_ones_and_mend_the_connection_in_place(
    connect_ibkr, person, sandbox, ibkr_keys
):
    connection = connect_ibkr(person, "keys")
    new = sandbox.control("ibkr/keys", "POST", consumer_key="MARIAKEYS")
    with pytest.raises(NeedsReauth, match="new token"):
        connection_manager.refresh_credentials(connection)
    connection.refresh_from_db()
    assert (connection.state, connection.reason_code) == ("needs_reauth", "keys_refused")
    fresh = ibkr_keys | {name: new[name] for name in ("access_token", "access_token_secret")}
    again = connection_manager.connect_with_keys(
        user=person, method=AuthMethod.IBKR_KEYS, keys=fresh, connection=connection
    )
    assert (again.pk, again.state) == (connection.pk, "connected")


@pytest.mark.usefixtures("unpaced")
def test_keys_are_kept_out_of_sight(connect_ibkr, person, ibkr_keys, sandbox, redis_client, capfd):
    connection = connect_ibkr(person, "keys")
    kept = connection.read_credentials()
    assert kept["signing_key"] == ibkr_keys["signing_key"].strip()
    connection_manager.refresh_credentials(connection)
    connection_manager.connector_for(connection).accounts()
    sandbox.end_tokens(expire=True, revoke=True, broker="ibkr")
    with pytest.raises(NeedsReauth):
        connection_manager.refresh_credentials(connection)
    said = "".join(capfd.readouterr())
    assert "broker_call" in said
    said += b"".join(redis_client.dump(key) or b"" for key in redis_client.scan_iter()).decode("latin-1")
    with database.cursor() as cursor:
        for table in database.introspection.table_names(cursor):
            cursor.execute(f"SELECT coalesce(string_agg(t::text, ' '), '') FROM \"{table}\" t")
            said += cursor.fetchone()[0]
    for name in ("access_token", "access_token_secret", "live_session_token"):
        assert kept[name] not in said, name
    for name in ("signing_key", "encryption_key"):
        assert not [line for line in kept[name].splitlines()[1:-1] if line in said], name


@pytest.mark.usefixtures("unpaced")
def test_a_wrong_key_is_told_beside_its_field_and_no_key_comes_back_in_the_page(web, person, ibkr_keys):
    new = reverse("connections:keys_new", args=["ibkr_keys"])
    form = web.get(new).content.decode()
    assert "openssl dhparam" in form, "it says how to come by the keys"
    answer = web.post(new, ibkr_keys | {"signing_key": ibkr_keys["signing_key"].replace("PRIVATE", "PUBLIC")})
    assert answer.status_code == 200
    assert answer.context["form"].errors.keys() == {"signing_key"}
    page = answer.content.decode()
    assert "This is the public key" in page
    for name in ("access_token", "access_token_secret", "encryption_key"):
        assert ibkr_keys[name] not in page
    assert "MII" not in page
    assert web.post(new, ibkr_keys).status_code == 302
    assert Connection.objects.get(user=person).state == "connected"
