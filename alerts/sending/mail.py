"""Alerts by mail.

takes  a delivery
gives  an `Attempt`: what the mail server said to one multipart message
never  sends a password unencrypted to another machine, and never lets a title become a header

All mails of one alert on one channel form a thread: the first is known by its id, which can be computed again.
"""

from __future__ import annotations

import email.utils
import smtplib
import socket
import ssl
import time
from collections.abc import Mapping
from datetime import datetime
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints, field_validator, model_validator

from alerts.errors import ChannelUnusable
from alerts.lifecycle import ChangeReason
from alerts.sending.allowed import objection
from alerts.sending.attempt import Answer, Attempt, AttemptOutcome
from alerts.sending.delivery import Delivery, delivery_id
from alerts.sending.mail_server import Deadline, Names, PlainServer, TlsServer
from alerts.sending.mailboxes import Mailbox
from alerts.sending.secrets import Secret
from alerts.settings import ChannelBase, digest
from alerts.texts import wording
from alerts.texts.mail_page import colour_of, html_page
from alerts.texts.messages import Message, read_message
from alerts.texts.picture import picture
from alerts.texts.prose import late, note, plain_text, subject

_PORTS = {"starttls": 587, "tls": 465, "none": 25}
_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_MOST_SAID = 200
_MOST_THREADS = 20
# Nothing depends on whether every relay on the way passes 8 bits. Lines may have 998 characters (RFC 5322, 2.1.1): at
# the usual 78 the library folds a subject of that length behind "Subject:", and it arrives with a space before it.
_POLICY = SMTP.clone(cte_type="7bit", max_line_length=900)

Address = Annotated[str, StringConstraints(strip_whitespace=True, max_length=320)]


class MailSettings(ChannelBase):
    """Mail by your own mail server."""

    type: Literal["mail"]
    host: str = Field(pattern=r"^[A-Za-z0-9.:_-]+$", max_length=253, description="The mail server.")
    port: int | None = Field(None, ge=1, le=65535, description="587 for starttls, 465 for tls, 25 for none.")
    security: Literal["starttls", "tls", "none"] = Field("starttls", description="How the connection is encrypted.")
    ca_file: Path | None = Field(None, description="Certificates to trust instead of the system's, as PEM.")
    user: str | None = Field(
        None, min_length=1, max_length=320, description="Name to log in with; without it nobody logs in."
    )
    password: Secret | None = Field(None, description="Where the password lies.")
    sender: Address = Field(description='"squall@example.com" or "Squall <squall@example.com>".')
    recipients: tuple[Address, ...] = Field(min_length=1, max_length=100, description="Who gets the mail.")
    timeout_seconds: Annotated[float, Field(gt=0, le=300)] = Field(30, description="Most time for one attempt, in all.")

    @field_validator("host")
    @classmethod
    def _one_server(cls, host: str) -> str:
        if objection(host, networks=False):
            raise ValueError(
                "must be the name or the address of the mail server alone, such as smtp.example.com; "
                "`port` is a key of its own"
            )
        return host

    @field_validator("user")
    @classmethod
    def _sayable(cls, user: str | None) -> str | None:
        if user is not None and not user.isprintable():
            raise ValueError("holds a line break or a hidden character: write the name as the mail server knows it")
        return user

    @field_validator("sender")
    @classmethod
    def _one_address(cls, text: str) -> str:
        return str(Mailbox.of(text))

    @field_validator("recipients")
    @classmethod
    def _addresses(cls, texts: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(dict.fromkeys(str(Mailbox.of(text)) for text in texts))

    @model_validator(mode="after")
    def _consistent(self) -> MailSettings:
        if (self.user is None) != (self.password is None):
            raise ValueError("user and password go together: give both or neither")
        if self.password is not None and self.security == "none" and self.host not in _LOOPBACK:
            raise ValueError('a password is not sent unencrypted: set security to "starttls" or "tls"')
        return self

    @property
    def where(self) -> str:
        """Host and port."""
        return f"{self.host}:{self.port or _PORTS[self.security]}"

    @property
    def addresses(self) -> tuple[str, ...]:
        """Of the recipients, as they are told to the mail server."""
        return tuple(Mailbox.of(recipient).address for recipient in self.recipients)


class MailChannel:
    """Sends deliveries as mail.

    When a server takes a message for some recipients and not for others, it was delivered, and the attempt names the
    others: what is left for each of them is a delivery of its own, with the same Message-ID.

    Raises:
        ChannelUnusable: when the password or ca_file cannot be read, or the login is not ASCII.
    """

    def __init__(self, settings: MailSettings) -> None:
        self._settings = settings
        self._names = Names()
        _login(settings)
        _trust(settings)

    @property
    def name(self) -> str:
        """Its name in the settings."""
        return self._settings.name

    @property
    def endpoint(self) -> str:
        """A digest of server and recipients."""
        return digest(self._settings.where + " ".join(self._settings.recipients))

    def send(self, delivery: Delivery, now: datetime) -> Attempt:
        """Hand the message to the server once. Blocks."""
        begun = time.monotonic()
        mail = compose(delivery, self._settings, now)
        addresses = self._settings.addresses
        if delivery.recipient and delivery.recipient not in addresses:
            words = f"{self.name} does not name {delivery.recipient} as a recipient any more: name it there again"
            return Attempt.answered(Answer(AttemptOutcome.MISCONFIGURED, words), now, begun)
        whom = [delivery.recipient] if delivery.recipient else list(addresses)
        try:
            refused, words = self._hand_over(mail, whom)
        except ChannelUnusable as error:
            return Attempt.answered(Answer(AttemptOutcome.MISCONFIGURED, str(error)), now, begun)
        except smtplib.SMTPRecipientsRefused as error:
            return Attempt.answered(_refusals(error.recipients, self._settings.where), now, begun)
        except (smtplib.SMTPException, OSError) as error:
            return Attempt.answered(answer_of(error, self._settings), now, begun)
        where = self._settings.where
        words = f"taken, but not for all: {_refusals(refused, where).reason}" if refused else words
        left = tuple((one, _answered(code, said, where, _to(one))) for one, (code, said) in refused.items())
        taken = tuple(one for one in whom if one not in refused)
        return Attempt.answered(Answer(AttemptOutcome.DELIVERED, words), now, begun, left, taken)

    def _hand_over(self, mail: EmailMessage, recipients: list[str]) -> tuple[dict[str, tuple[int, bytes]], str]:
        """Returns who was refused, when not all were, and what the server said when it took the mail."""
        settings = self._settings
        sender = Mailbox.of(settings.sender).address
        port = settings.port or _PORTS[settings.security]
        with Deadline(settings.timeout_seconds) as deadline:
            server: PlainServer | TlsServer
            if settings.security == "tls":
                server = TlsServer(deadline, settings.host, port, self._names, _trust(settings))
            else:
                server = PlainServer(deadline, settings.host, port, self._names)
            try:
                if settings.security == "starttls":
                    server.starttls(context=_trust(settings))
                if login := _login(settings):
                    server.login(*login)
                refused = server.send_message(mail, sender, recipients)
            except (smtplib.SMTPException, OSError):
                deadline.check()
                raise
            finally:
                # Not quit(): it waits for an answer that changes nothing, and its failure would hide the outcome.
                server.close()
            code, said = server.taken
            return refused, f"{settings.where} said {code}: {_said(said)}"


def _login(settings: MailSettings) -> tuple[str, str] | None:
    """User and password, read now; None where nobody logs in.

    Raises:
        ChannelUnusable: when the password cannot be read, or a letter of the two cannot be said to a mail server.
    """
    if settings.user is None or settings.password is None:
        return None
    user, password = settings.user, settings.password.reveal()
    if not (user + password).isascii():
        raise ChannelUnusable(
            f"user, or the password in {settings.password}, has letters beyond ASCII, which no login here can carry: "
            "choose a password of ASCII letters"
        )
    return user, password


def _trust(settings: MailSettings) -> ssl.SSLContext:
    """Whose certificates are trusted, read now, as secrets are: they are renewed while this process lives.

    The system's take some 20 ms.

    Raises:
        ChannelUnusable: when ca_file cannot be read.
    """
    try:
        return ssl.create_default_context(cafile=settings.ca_file)
    except OSError as error:
        raise ChannelUnusable(f"ca_file {settings.ca_file} holds no certificates that can be read") from error


def compose(delivery: Delivery, settings: MailSettings, now: datetime) -> EmailMessage:
    """The mail of a delivery: text, HTML with a picture of the series, an id made from the delivery's, its thread.

    Raises:
        ValueError: when the payload is not of this version.
    """
    message = read_message(delivery.payload)
    sender = Mailbox.of(settings.sender)
    domain = sender.domain
    mail = EmailMessage(policy=_POLICY)
    mail["From"] = sender.header
    mail["To"] = [Mailbox.of(recipient).header for recipient in settings.recipients]
    age, above = late(delivery.created_at, now), note(delivery.created_at, now, unheard=delivery.unheard)
    mail["Subject"] = wording.one_line(subject(message) + (f" (written {age} ago)" if age else ""))
    mail["Date"] = email.utils.format_datetime(now)
    mail["Message-ID"] = f"<{delivery.message}@{domain}>"
    threads = _threads(message, delivery)
    if threads:
        mail["In-Reply-To"] = f"<{threads[0]}@{domain}>"
        mail["References"] = " ".join(f"<{one}@{domain}>" for one in threads)
    mail["Auto-Submitted"] = "auto-generated"
    mail.set_content(plain_text(message, note=above))
    drawn = picture(message.data, colour_of(message)) if message.data is not None else None
    shown = f"cid:trend.{delivery.message}@{domain}" if drawn else ""
    mail.add_alternative(html_page(message, shown, above), subtype="html")
    page = mail.get_body(("html",))
    if drawn and page is not None:
        cid = f"<trend.{delivery.message}@{domain}>"
        page.add_related(drawn, "image", "png", cid=cid, filename="trend.png", disposition="inline")
    return mail


def _threads(message: Message, delivery: Delivery) -> list[str]:
    """The ids of the deliveries that told of the alerts first, without this one; a group belongs to several threads."""
    firsts = [
        delivery_id(facts.alert, ChangeReason.FIRED.value, facts.fired_at, delivery.channel)
        for facts in (message.data, *(member.data for member in message.members))
        if facts is not None and facts.fired_at is not None
    ]
    return [first for first in dict.fromkeys(firsts) if first != delivery.message][:_MOST_THREADS]


def answer_of(error: Exception, settings: MailSettings) -> Answer:
    """What a failure of the whole conversation means for a delivery."""
    where = settings.where
    match error:
        case smtplib.SMTPAuthenticationError() if error.smtp_code >= 500:
            words = (
                f"{where} refused the login of {settings.user} ({error.smtp_code}): check user, and the password in "
                f"{settings.password}; some providers want a password made for this program"
            )
            return Answer(AttemptOutcome.MISCONFIGURED, words)
        case smtplib.SMTPResponseException() if error.smtp_code < 0:
            words = f"what answers at {where} is no mail server: see host and port"
            return Answer(AttemptOutcome.MISCONFIGURED, words)
        case smtplib.SMTPResponseException():
            return _answered(error.smtp_code, error.smtp_error, where)
        case smtplib.SMTPNotSupportedError():
            what = "login" if settings.security == "none" else "STARTTLS or login"
            words = f"{where} offers no {what} here: see security, port and user"
            return Answer(AttemptOutcome.MISCONFIGURED, words)
        case smtplib.SMTPException() if type(error) is smtplib.SMTPException:
            # Of no kind of its own: none of the ways to log in that the server offers is known, or it asks for ever.
            words = f"{where} takes no password in a way known here (PLAIN, LOGIN, CRAM-MD5): see its other ways in"
            return Answer(AttemptOutcome.MISCONFIGURED, words)
        case ssl.SSLCertVerificationError():
            words = f"the certificate of {where} is not trusted ({error.verify_message}): renew it, or set ca_file"
            return Answer(AttemptOutcome.MISCONFIGURED, words)
        case ssl.SSLError():
            words = f"{where} does not speak TLS in the way expected: see security and port"
            return Answer(AttemptOutcome.MISCONFIGURED, words)
        case TimeoutError():
            words = f"{where} did not answer within {settings.timeout_seconds:g} s: see whether it is up"
            return Answer(AttemptOutcome.TIMED_OUT, words)
        case socket.gaierror():
            return Answer(AttemptOutcome.UNREACHABLE, f"{settings.host} has no address: check its name")
        case smtplib.SMTPServerDisconnected():
            return Answer(AttemptOutcome.UNREACHABLE, f"{where} closed the connection before it took the mail")
        case _:
            words = f"{where} could not be reached ({type(error).__name__}): see whether it is up, and its port"
            return Answer(AttemptOutcome.UNREACHABLE, words)


def _answered(code: int, said: Any, where: str, about: str = "") -> Answer:
    words = f"{where} said {code}{about}: {_said(said)}"
    # 4xx is "later" (greylisting, full mailbox), 5xx is "no" (RFC 5321, 4.2.1).
    return Answer(AttemptOutcome.THROTTLED if 400 <= code < 500 else AttemptOutcome.REFUSED, words)


def _refusals(refused: Mapping[str, tuple[int, bytes]], where: str) -> Answer:
    """One answer for several recipients: "later" only when that is what all refusals say."""
    worst = max(refused, key=lambda address: refused[address][0])
    code, said = refused[worst]
    others = f" and {len(refused) - 1} more" if len(refused) > 1 else ""
    return _answered(code, said, where, _to(worst) + others)


def _to(recipient: str) -> str:
    return f" to recipient {recipient}"


def _said(said: Any) -> str:
    text = said.decode("utf-8", "replace") if isinstance(said, bytes) else str(said)
    return wording.one_line(text)[:_MOST_SAID] or "no words"
