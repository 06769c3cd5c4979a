"""The failure catalogue in Norwegian bokmål."""

from schemas.catalogue.shape import Ending, Language, Words
from schemas.failures import FailureCode, WarningCode

FAILURES: dict[FailureCode, Words] = {
    FailureCode.CUSTOMER_NUMBER_OUT_OF_RANGE: Words(
        "{entity} ble ikke overført til {system}: Kundenummer {number} er ikke mellom {from} "
        "og {to}, som er nummerserien for kunder der.",
        "Gi kunden et nummer fra {from} til {to} i Moment, så overføres den av seg selv. Eller "
        "utvid nummerserien for kunder i {system} og send på nytt.",
    ),
    FailureCode.CUSTOMER_NUMBER_NOT_NUMERIC: Words(
        "{entity} ble ikke overført til {system}: Kundenummer {number} inneholder andre tegn enn "
        "sifre.",
        "Gi kunden et nummer med bare sifre i Moment, så overføres den av seg selv.",
    ),
    FailureCode.PROJECT_NUMBER_NOT_NUMERIC: Words(
        "{entity} ble ikke overført til {system}: Prosjektnummer {number} inneholder andre tegn "
        "enn sifre.",
        "Gi prosjektet et nummer med bare sifre i Moment, så overføres det av seg selv.",
    ),
    FailureCode.CUSTOMER_MISSING: Words(
        "{entity} ble ikke overført til {system}: Kunde {number} finnes ikke der, og overføring "
        "av kunder er slått av i denne integrasjonen.",
        "Opprett kunde {number} i {system}, eller slå på overføring av kunder i innstillingene "
        "for integrasjonen, og send på nytt.",
    ),
    FailureCode.PROJECT_MISSING: Words(
        "{entity} ble ikke overført til {system}: Prosjekt {number} finnes ikke der.",
        "Opprett prosjekt {number} i {system}, eller lagre det på nytt i Moment slik at det blir "
        "overført, og send denne på nytt.",
    ),
    FailureCode.PARENT_DEAD: Words(
        "{entity} venter: {parentType} {parentNumber} må være i {system} først, men ble ikke "
        "overført ({parentCode}).",
        "Rett opp {parentType} {parentNumber} slik meldingen om den feilen sier. Når det "
        "er på plass i {system}, overføres {entity} av seg selv.",
    ),
    FailureCode.PARENT_ABSENT: Words(
        "{entity} venter: {parentType} {parentNumber} må være i {system} først, men er ikke "
        "kommet fra Moment.",
        "Lagre {parentType} {parentNumber} på nytt i Moment. Når det er på plass i {system}, "
        "overføres {entity} av seg selv.",
    ),
    FailureCode.ACCOUNT_UNKNOWN: Words(
        "{entity} ble ikke overført til {system}: Konto {account} finnes ikke i kontoplanen der.",
        "Opprett konto {account} i {system}, eller rett kontonummeret i Moment, og send på nytt.",
    ),
    FailureCode.ACCOUNT_LOCKED: Words(
        "{entity} ble ikke overført til {system}: Konto {account} er sperret der.",
        "Opphev sperren på konto {account} i {system}, også for manuelle føringer, eller bruk en "
        "annen konto i Moment, og send på nytt.",
    ),
    FailureCode.VAT_CODE_UNKNOWN: Words(
        "{entity} ble ikke overført til {system}: Mva-kode {vatCode} finnes ikke der.",
        "Rett mva-koden på linjens konto i Moment til en som finnes i {system}, og send på nytt.",
    ),
    FailureCode.VAT_CODE_NOT_VALID: Words(
        "{entity} ble ikke overført til {system}: Mva-kode {vatCode} er ikke gyldig der per "
        "{date}.",
        "Velg en mva-kode som er gyldig per {date}, på linjens konto i Moment, eller åpne "
        "mva-kode {vatCode} i {system}, og send på nytt.",
    ),
    FailureCode.VAT_RATE_DIFFERS: Words(
        "{entity} ble ikke overført til {system}: Med mva-kode {vatCode} har Moment {vatPercent} % "
        "mva. og {system} {booksPercent} % per {date}.",
        "Rett mva-koden på linjens konto i Moment, eller satsen for mva-kode {vatCode} i "
        "{system}, og send på nytt.",
    ),
    FailureCode.VAT_PERCENT_MISSING: Words(
        "{entity} ble ikke overført til {system}: Vare {itemCode} finnes ikke der, og kan ikke "
        "opprettes fordi fakturalinjen mangler mva-prosent.",
        "Opprett vare {itemCode} med riktig mva. i {system} og send på nytt.",
    ),
    FailureCode.PRODUCT_VAT_DIFFERS: Words(
        "{entity} ble ikke overført til {system}: Vare {itemCode} har {booksPercent} % mva. der "
        "og {vatPercent} % i Moment.",
        "Rett mva. på vare {itemCode} i {system}, eller bruk en annen vare på linjen i Moment, og "
        "send på nytt.",
    ),
    FailureCode.PERIOD_LOCKED: Words(
        "{entity} ble ikke overført til {system}: Datoen er {date}, men regnskapet er låst til og "
        "med {lockDate}.",
        "Be den som fører regnskapet om å flytte låsedatoen i {system} til før {date}. Send på "
        "nytt, og lås perioden igjen.",
    ),
    FailureCode.LINE_TOTAL_DIFFERS: Words(
        "{entity} ble ikke overført til {system}: Summen på linje {line} er {found}, men antall, "
        "pris, påslag og rabatt gir {expected}.",
        "Beløp rettes aldri underveis. Meld fra til den som leverer data fra Moment, slik at "
        "fakturaen sendes på nytt med beløp som stemmer.",
    ),
    FailureCode.TOTALS_DIFFER: Words(
        "{entity} ble ikke overført til {system}: Totalen er {found}, men linjene gir {expected}.",
        "Beløp rettes aldri underveis. Meld fra til den som leverer data fra Moment, slik at "
        "fakturaen sendes på nytt med beløp som stemmer.",
    ),
    FailureCode.CREDIT_SIGN: Words(
        "{entity} ble ikke overført til {system}: Det er en kreditnota, men totalen, {total}, er "
        "over null.",
        "Undersøk i Moment om det skulle vært en faktura, og skriv den på nytt der. Den nye "
        "overføres av seg selv. Forkast deretter denne.",
    ),
    FailureCode.CURRENCY_UNKNOWN: Words(
        "{entity} ble ikke overført til {system}: Valuta {currency} finnes ikke der.",
        "Legg til valuta {currency} i {system} og send på nytt.",
    ),
    FailureCode.CURRENCY_RATE_MISSING: Words(
        "{entity} ble ikke overført til {system}: Den er i {currency}, og valutakursen mot "
        "{baseCurrency} mangler.",
        "Legg inn kursen for {currency} i {baseCurrency} i Moment, slik at fakturaen sendes på "
        "nytt med kursen.",
    ),
    FailureCode.KENNITALA_MISSING: Words(
        "{entity} ble ikke overført til {system}: Kunde {number} mangler kennitala.",
        "Legg inn kennitala på kunde {number} i Moment og send denne på nytt.",
    ),
    FailureCode.KENNITALA_INVALID: Words(
        "{entity} ble ikke overført til {system}: Kundens kennitala, {number}, er ikke på ti "
        "sifre.",
        "Rett kundens kennitala i Moment og send denne på nytt.",
    ),
    FailureCode.ITEM_CODE_MISSING: Words(
        "{entity} ble ikke overført til {system}: Linje {line} har ikke noe varenummer. Lette "
        "etter: {sources}.",
        "Knytt linjen til et produkt med nummer i Moment, eller fyll ut linjens konto (ekstern "
        "inntektsklasse eller mva-kode), og send på nytt.",
    ),
    FailureCode.ITEM_CODE_TOO_LONG: Words(
        "{entity} ble ikke overført til {system}: Varenummer {itemCode} er på mer enn {limit} "
        "tegn.",
        "Forkort nummeret til høyst {limit} tegn i Moment og send på nytt.",
    ),
    FailureCode.REFERENCE_INVALID: Words(
        "{entity} ble ikke overført til {system}: Nummer {number} kan ikke være referanse der. "
        "Tillatt er høyst {limit} bokstaver (a til z), sifre og . _ ~ -",
        "Krediter fakturaen i Moment og skriv den på nytt med et nummer som {system} kan ta imot. "
        "Den nye overføres av seg selv. Forkast deretter denne.",
    ),
    FailureCode.SALES_PERSON_UNKNOWN: Words(
        "Overføringen til {system} er satt på vent: Selger {salesPerson} finnes ikke der.",
        "Opprett selger {salesPerson} i {system}, eller rett selgernummeret i innstillingene for "
        "integrasjonen.",
    ),
    FailureCode.CUSTOMER_BLOCKED: Words(
        "{entity} ble ikke overført til {system}: Kunde {number} er sperret der.",
        "Sett kunde {number} til aktiv i Moment, eller opphev sperren i {system}, og send på nytt.",
    ),
    FailureCode.CREDENTIALS_REFUSED: Words(
        "Overføringen til {system} er satt på vent: Integrasjonens innlogging blir ikke godtatt "
        "({answer}).",
        "Forny integrasjonens innlogging til {system}.",
    ),
    FailureCode.RIGHT_MISSING: Words(
        "Overføringen til {system} er satt på vent: Integrasjonen mangler en rettighet der "
        "({answer}).",
        "Gi integrasjonens bruker rettigheter til kunder, prosjekter og fakturaer i {system}.",
    ),
    FailureCode.NOT_ACTIVATED: Words(
        "Overføringen til {system} er satt på vent: Integrasjonen har ikke tilgang til selskapet "
        "der.",
        "Aktiver integrasjonen på markedsplassen i {system}; det kan ta opptil 24 timer før den "
        "virker. Kontroller også selskapsnøkkelen, som vises under «?» → Systeminformasjon.",
    ),
    FailureCode.COMPANY_UNKNOWN: Words(
        "{entity} ble ikke overført: Det er ikke satt opp noen integrasjon for selskap {company}.",
        "Sett opp en integrasjon for selskap {company} og send på nytt.",
    ),
    FailureCode.EVENT_UNREADABLE: Words(
        "En hendelse fra Moment kunne ikke leses: {reason}.",
        "Meld fra til den som leverer hendelsene fra Moment; hendelsen er tatt vare på slik den "
        "kom. En rettet hendelse kan sendes når som helst.",
    ),
    FailureCode.EVENT_INVALID: Words(
        "{entity} ble ikke overført: Det er feil i data fra Moment i {path}: {reason}.",
        "Rett {path} i Moment, eller meld fra til den som leverer hendelsene, og send på nytt.",
    ),
    FailureCode.EVENT_TYPE_UNKNOWN: Words(
        "En hendelse fra Moment er av en ukjent type: {type}.",
        "Meld fra til den som leverer hendelsene fra Moment: Typen eller emnet er feil.",
    ),
    FailureCode.EVENT_ID_REUSED: Words(
        "{entity} ble ikke overført: En tidligere hendelse med annet innhold har samme id, {id}, "
        "fra {source}.",
        "Meld fra til den som leverer hendelsene fra Moment: Den må sendes på nytt med sin egen "
        "id.",
    ),
    FailureCode.INVOICE_DIFFERS_FROM_BOOKED: Words(
        "Faktura {number} er allerede bokført i {system} som {booked}, med annet innhold. "
        "Ingenting er endret der.",
        "Sammenlign de to. Det som er bokført, blir stående: Rett det med kreditnota og ny "
        "faktura i Moment, som overføres av seg selv. Forkast deretter denne.",
    ),
    FailureCode.SWITCHED_OFF: Words(
        "{entity} venter: Overføring av denne typen data, eller hele integrasjonen mot {system}, "
        "er slått av.",
        "Slå på igjen i innstillingene for integrasjonen, eller forkast det som venter.",
    ),
    FailureCode.BOOKS_IDENTITY_CHANGED: Words(
        "Overføringen til {system} er satt på vent: Integrasjonen fører nå til regnskapet for et "
        "annet selskap. Ingenting er skrevet der.",
        "Rett innstillingene for integrasjonen, slik at de fører til riktig selskap.",
    ),
    FailureCode.FOUND_TWICE: Words(
        "{entity} kan være ført mer enn én gang i {system}: Nummer {number} finnes {hits} ganger.",
        "Slå opp {number} i {system}, reverser det som er for mye, slik at én blir igjen, og send "
        "på nytt. Da blir den som står igjen, gjenkjent.",
    ),
    FailureCode.TOO_LONG: Words(
        "{entity} ble ikke overført til {system}: En verdi har lengde {length}, og høyst {limit} "
        "er tillatt.",
        "Forkort den i Moment og send på nytt.",
    ),
    FailureCode.RETRIES_EXHAUSTED: Words(
        "{entity} ble gitt opp etter {attempts} forsøk på overføring til {system}. Siste feil: "
        "{lastCode} ({answer}).",
        "Send på nytt når {system} virker som vanlig.",
    ),
    FailureCode.REFUSED_BY_SYSTEM: Words(
        "{entity} ble avvist av {system}, som svarte: {answer} (HTTP {status}).",
        "Rett det som svaret peker på, i Moment eller {system}, og send på nytt. Er svaret "
        "uforståelig, meld fra til den som drifter integrasjonen.",
    ),
    FailureCode.ANSWER_NOT_UNDERSTOOD: Words(
        "{entity}: Svaret fra {system} kunne ikke tolkes: {answer} (HTTP {status}).",
        "Se etter i {system} om den er kommet fram, og meld fra til den som drifter "
        "integrasjonen. Deretter kan den sendes på nytt.",
    ),
    FailureCode.SYSTEM_UNAVAILABLE: Words(
        "{system} kan ikke svare akkurat nå (HTTP {status}).",
        "Du trenger ikke gjøre noe: Det blir prøvd igjen.",
    ),
    FailureCode.TOO_MANY_REQUESTS: Words(
        "{system} ber om en pause.",
        "Du trenger ikke gjøre noe: Det blir prøvd igjen etter pausen.",
    ),
    FailureCode.CONNECTION_FAILED: Words(
        "Fikk ikke kontakt med {system}: {reason}.",
        "Du trenger ikke gjøre noe: Det blir prøvd igjen. Varer det ved, få kontrollert "
        "nettforbindelsen til {system}.",
    ),
    FailureCode.WRITE_UNCERTAIN: Words(
        "{entity} ble sendt til {system}, men det kom ikke noe svar. Det blir undersøkt der under "
        "{number} om den kom fram.",
        "Ikke før den for hånd i mellomtiden. Hvis den er gitt opp: Se etter {number} i {system}, "
        "og send på nytt hvis den ikke er der.",
    ),
    FailureCode.BREAKER_OPEN: Words(
        "Overføringen til {system} tar en pause fordi for mange kall har feilet.",
        "Du trenger ikke gjøre noe: Det blir gjort nye forsøk med korte mellomrom.",
    ),
}

ACTIONS_BY_SYSTEM: dict[tuple[FailureCode, str], str] = {
    (FailureCode.CREDENTIALS_REFUSED, "sparebank1"): (
        "Kontroller på markedsplassen i {system} at integrasjonen er aktiv, og at bank og "
        "selskapsnøkkel («?» → Systeminformasjon) er riktige. Ellers må den som drifter "
        "integrasjonen, fornye klientnøkkelen."
    ),
    (FailureCode.CREDENTIALS_REFUSED, "dkplus"): (
        "Lag et nytt token i {system} under Meny/Innstillinger (Stillingar), token "
        "(auðkenningartákn), og legg det inn i integrasjonen."
    ),
    (FailureCode.RIGHT_MISSING, "dkplus"): (
        "Gi brukeren som tokenet tilhører, rettigheter til kunder, prosjekter, varer og "
        "salgsfakturaer i {system}."
    ),
    (FailureCode.BOOKS_IDENTITY_CHANGED, "sparebank1"): (
        "Sammenlign bank og selskapsnøkkel i integrasjonen med det {system} viser under «?» → "
        "Systeminformasjon, og rett dem."
    ),
    (FailureCode.BOOKS_IDENTITY_CHANGED, "dkplus"): (
        "Et token hører til ett selskap. Lag et i riktig selskap i {system} under "
        "Meny/Innstillinger (Stillingar), token (auðkenningartákn), og legg det inn i "
        "integrasjonen."
    ),
}

WARNINGS: dict[WarningCode, str] = {
    WarningCode.KID_CHECK_DIGIT: "Kontrollsifferet i KID {paymentId} er feil. Den ble overført "
    "som den er.",
    WarningCode.ORGANISATION_NUMBER_CHECK_DIGIT: "Kontrollsifferet i organisasjonsnummer "
    "{organisationNumber} er feil. Det ble overført som det er; kontroller det i Moment.",
    WarningCode.KENNITALA_CHECK_DIGIT: "Kontrollsifferet i kennitala {number} stemmer ikke. Den "
    "ble overført som den er, siden nyere kennitölur ikke trenger å ha noe.",
    WarningCode.INVOICE_NUMBER_DIFFERS: "Faktura {moment} har nummer {books} i {system}. Sørg for "
    "at nummerseriene følger hverandre igjen.",
    WarningCode.AMOUNT_DIFFERS: "Totalen er {moment} i Moment og {books} i {system}.",
    WarningCode.PROJECT_NOT_KEPT: "{system} beholdt ikke prosjekt {project} på fakturaen. Legg "
    "det inn for hånd der.",
    WarningCode.CUSTOMER_TWIN: "Kunde {number} kan være den samme som kunde {twin} i {system}. "
    "Undersøk om en av dem skal bort.",
    WarningCode.VOUCHER_NUMBER_NOT_TAKEN: "{system} godtok ikke bilagsnummer {proposed} og ga "
    "{given} i stedet.",
    WarningCode.PARENT_STALE: "Siste endring av {parentType} {parentNumber} er ikke kommet fram "
    "til {system}; dette ble overført likevel.",
    WarningCode.NOTHING_TO_BOOK: "Ingen linje har noe beløp, så det var ingenting å bokføre.",
    WarningCode.TEXT_SHORTENED: "Teksten i {field} ble kuttet til {limit} tegn, som er det meste "
    "{system} tar imot.",
}

NORWEGIAN = Language(
    name="Norsk bokmål",
    failures=FAILURES,
    actions_by_system=ACTIONS_BY_SYSTEM,
    warnings=WARNINGS,
    endings={
        Ending.AGAIN: "Det er trygt å sende på nytt (replay): Ingenting blir ført to ganger.",
        Ending.BY_ITSELF: "Det som venter, overføres deretter av seg selv; ingenting går tapt.",
        Ending.CORRECTED: "En rettet versjon tar plassen til denne av seg selv.",
        Ending.NONE: "",
    },
    entities={"customer": "kunde", "project": "prosjekt", "invoice": "faktura"},
    values={
        "parentType": {"customer": "kunde", "project": "prosjekt", "invoice": "faktura"},
        "sources": {
            "productNumber": "produktnummer",
            "externalRevenueClass": "ekstern inntektsklasse",
            "vatCode": "mva-kode",
        },
    },
    some_entity="hendelsen",
    some_system="regnskapssystemet",
)
