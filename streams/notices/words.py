"""The words of notices that the catalogue of failures has not: labels and titles, per language."""

from collections.abc import Callable
from typing import Final

import msgspec

from schemas.events import EntityType

Forms = tuple[str, str]  # of one, of several


def _two_forms(number: int) -> bool:
    return number == 1


def _icelandic_one(number: int) -> bool:
    """Twenty-one is singular, eleven is not."""
    return number % 10 == 1 and number % 100 != 11  # noqa: PLR2004 - the rule itself


class NoticeWords(msgspec.Struct, frozen=True, kw_only=True):
    """One language. `{what}`: "40 invoices" or "invoice 1001"; `{system}`: its name.

    Labels are without verbs that would have to agree with what is put in.
    """

    nouns: dict[EntityType, Forms]
    several_kinds: Forms
    is_one: Callable[[int], bool]
    dead: str
    blocked: str
    held: str
    retrying: str
    manual: str
    more: str
    still: str
    solved: str
    solved_hold: str
    happened: str
    to_do: str
    which: str
    others: str
    and_more: str
    at_least: str
    waiting: str
    lasting: str
    nothing_left: str
    goes_on: str
    by_hand: str
    about: str
    facts: str
    why_you: str
    again: str


EN: Final = NoticeWords(
    nouns={
        EntityType.CUSTOMER: ("customer", "customers"),
        EntityType.PROJECT: ("project", "projects"),
        EntityType.INVOICE: ("invoice", "invoices"),
    },
    several_kinds=("item", "items"),
    is_one=_two_forms,
    dead="Not transferred to {system}: {what}",
    blocked="Waiting ({parent}): {what}",
    held="Stopped: transfers to {system}",
    retrying="Delayed, being tried again: {what}",
    manual="To be changed by hand in {system}: {what}",
    more="{what}, {new} of them new",
    still="Still open: {label}",
    solved="Solved: {what}, {system}",
    solved_hold="Solved: transfers to {system} go on",
    happened="What happened",
    to_do="What to do",
    which="Which",
    others="The same holds for the others in the list.",
    and_more="and {many} more",
    at_least="at least {what}",
    waiting="Waiting: {what}. Nothing is lost.",
    lasting="The oldest has been open since {since}. From {until} on it is kept in one place only: "
    "mend it before that day, or have it discarded.",
    nothing_left="Nothing is left of this: what was stopped has been transferred, replaced by a "
    "newer version, or discarded. It was about:",
    goes_on="What waited is transferred by itself, oldest first. It was about:",
    by_hand="{system} does not take these changes from Moment. Make them there by hand.",
    about="Integration {integration}, company {company}",
    facts="For operators: {command}",
    why_you="You receive this because the integration names this address for notices.",
    again="You hear of it again when there is more of it, when it is solved, or after a day.",
)

NB: Final = NoticeWords(
    nouns={
        EntityType.CUSTOMER: ("kunde", "kunder"),
        EntityType.PROJECT: ("prosjekt", "prosjekter"),
        EntityType.INVOICE: ("faktura", "fakturaer"),
    },
    several_kinds=("post", "poster"),
    is_one=_two_forms,
    dead="Ikke overført til {system}: {what}",
    blocked="På vent ({parent}): {what}",
    held="Stanset: overføring til {system}",
    retrying="Forsinket, prøves igjen: {what}",
    manual="Må endres for hånd i {system}: {what}",
    more="{what}, {new} av dem nye",
    still="Fortsatt ikke løst: {label}",
    solved="Løst: {what}, {system}",
    solved_hold="Løst: overføring til {system} er i gang igjen",
    happened="Hva som har skjedd",
    to_do="Hva du kan gjøre",
    which="Dette gjelder",
    others="Det samme gjelder de andre i listen.",
    and_more="og {many} til",
    at_least="minst {what}",
    waiting="På vent: {what}. Ingenting går tapt.",
    lasting="Det eldste har stått åpent siden {since}. Fra {until} er det bare lagret ett sted: "
    "Rett feilen før den dagen, eller be om at det forkastes.",
    nothing_left="Ingenting gjenstår av dette: Det som stoppet opp, er overført, erstattet av en "
    "nyere versjon eller forkastet. Det gjaldt:",
    goes_on="Det som ventet, overføres av seg selv, eldste først. Det gjaldt:",
    by_hand="{system} tar ikke imot disse endringene fra Moment. De må gjøres der for hånd.",
    about="Integrasjon {integration}, selskap {company}",
    facts="For drift: {command}",
    why_you="Du får denne meldingen fordi adressen er oppgitt som mottaker for integrasjonen.",
    again="Du hører om det igjen når det kommer flere, når det er løst, eller etter et døgn.",
)

IS: Final = NoticeWords(
    nouns={
        EntityType.CUSTOMER: ("viðskiptamaður", "viðskiptamenn"),
        EntityType.PROJECT: ("verk", "verk"),
        EntityType.INVOICE: ("reikningur", "reikningar"),
    },
    several_kinds=("færsla", "færslur"),
    is_one=_icelandic_one,
    dead="Ekki flutt í {system}: {what}",
    blocked="Í bið ({parent}): {what}",
    held="Stöðvað: flutningur í {system}",
    retrying="Seinkun, reynt aftur: {what}",
    manual="Þarf að breyta handvirkt í {system}: {what}",
    more="{what}, þar af {new} í viðbót",
    still="Enn óleyst: {label}",
    solved="Leyst: {what}, {system}",
    solved_hold="Leyst: flutningur í {system} heldur áfram",
    happened="Hvað gerðist",
    to_do="Hvað er til ráða",
    which="Þetta á við um",
    others="Það sama á við um annað á listanum.",
    and_more="og {many} til viðbótar",
    at_least="að minnsta kosti {what}",
    waiting="Í bið: {what}. Ekkert glatast.",
    lasting="Það elsta hefur beðið síðan {since}. Frá {until} er það aðeins geymt á einum stað: "
    "lagfærðu þetta fyrir þann dag eða láttu hafna því.",
    nothing_left="Ekkert er eftir af þessu: það sem stöðvaðist hefur verið flutt, nýrri útgáfa "
    "komið í staðinn eða því verið hafnað. Þetta snerist um:",
    goes_on="Það sem beið flyst af sjálfu sér, það elsta fyrst. Þetta snerist um:",
    by_hand="{system} tekur ekki við þessum breytingum úr Moment. Þeim þarf að breyta þar "
    "handvirkt.",
    about="Tenging {integration}, fyrirtæki {company}",
    facts="Fyrir rekstraraðila: {command}",
    why_you="Þú færð þetta skeyti því netfangið er skráð viðtakandi tilkynninga um tenginguna.",
    again="Þú heyrir af þessu aftur ef fleira bætist við, þegar það leysist, eða eftir sólarhring.",
)

WORDS: Final[dict[str, NoticeWords]] = {"en": EN, "nb": NB, "is": IS}
