"""The failure catalogue in Icelandic.

What is put in for `{entity}`, `{parentType}` is nominative: it stands as a subject or in brackets.
"""

from schemas.catalogue.shape import Ending, Language, Words
from schemas.failures import FailureCode, WarningCode

FAILURES: dict[FailureCode, Words] = {
    FailureCode.CUSTOMER_NUMBER_OUT_OF_RANGE: Words(
        "{entity} fór ekki í {system}: viðskiptamannanúmerið {number} er ekki á bilinu {from} "
        "til {to}, sem er númeraröð viðskiptamanna þar.",
        "Gefið viðskiptamanninum númer á bilinu {from} til {to} í Moment; hann flyst þá af sjálfu "
        "sér. Einnig má víkka númeraröð viðskiptamanna í {system} og senda aftur.",
    ),
    FailureCode.CUSTOMER_NUMBER_NOT_NUMERIC: Words(
        "{entity} fór ekki í {system}: í viðskiptamannanúmerinu {number} er fleira en tölustafir.",
        "Gefið viðskiptamanninum númer í Moment sem er eingöngu úr tölustöfum; hann flyst þá af "
        "sjálfu sér.",
    ),
    FailureCode.PROJECT_NUMBER_NOT_NUMERIC: Words(
        "{entity} fór ekki í {system}: í verknúmerinu {number} er fleira en tölustafir.",
        "Gefið verkinu númer í Moment sem er eingöngu úr tölustöfum; það flyst þá af sjálfu sér.",
    ),
    FailureCode.CUSTOMER_MISSING: Words(
        "{entity} fór ekki í {system}: viðskiptamaður {number} er ekki til þar, og slökkt er á "
        "flutningi viðskiptamanna í þessari tengingu.",
        "Stofnið viðskiptamann {number} í {system}, eða kveikið á flutningi viðskiptamanna í "
        "stillingum tengingarinnar, og sendið aftur.",
    ),
    FailureCode.PROJECT_MISSING: Words(
        "{entity} fór ekki í {system}: verk {number} er ekki til þar.",
        "Stofnið verk {number} í {system}, eða vistið það aftur í Moment svo að það flytjist, og "
        "sendið aftur.",
    ),
    FailureCode.PARENT_DEAD: Words(
        "{entity} bíður: {parentType} {parentNumber} þarf að vera í {system} á undan, en "
        "flutningurinn þangað mistókst ({parentCode}).",
        "Fyrst þarf að laga það sem mistókst ({parentType} {parentNumber}), eins og segir í "
        "skilaboðunum um það. Þegar það er komið í {system} fer {entity} þangað af sjálfu sér.",
    ),
    FailureCode.PARENT_ABSENT: Words(
        "{entity} bíður: {parentType} {parentNumber} þarf að vera í {system} á undan, en hefur "
        "ekki borist úr Moment.",
        "Vistið aftur í Moment það sem vantar ({parentType} {parentNumber}). Þegar það er komið í "
        "{system} fer {entity} þangað af sjálfu sér.",
    ),
    FailureCode.ACCOUNT_UNKNOWN: Words(
        "{entity} fór ekki í {system}: bókhaldslykill {account} er ekki til þar.",
        "Stofnið bókhaldslykil {account} í {system}, eða leiðréttið hann í Moment, og sendið "
        "aftur.",
    ),
    FailureCode.ACCOUNT_LOCKED: Words(
        "{entity} fór ekki í {system}: bókhaldslykill {account} er læstur þar.",
        "Opnið bókhaldslykil {account} í {system}, einnig fyrir handvirkar færslur, eða notið "
        "annan lykil í Moment, og sendið aftur.",
    ),
    FailureCode.VAT_CODE_UNKNOWN: Words(
        "{entity} fór ekki í {system}: VSK-kóði {vatCode} er ekki til þar.",
        "Leiðréttið VSK-kóðann á bókhaldslykli línunnar í Moment, þannig að hann sé til í "
        "{system}, og sendið aftur.",
    ),
    FailureCode.VAT_CODE_NOT_VALID: Words(
        "{entity} fór ekki í {system}: VSK-kóði {vatCode} er ekki í gildi þar {date}.",
        "Veljið VSK-kóða sem er í gildi {date} á bókhaldslykil línunnar í Moment, eða opnið "
        "VSK-kóða {vatCode} í {system}, og sendið aftur.",
    ),
    FailureCode.VAT_RATE_DIFFERS: Words(
        "{entity} fór ekki í {system}: með VSK-kóða {vatCode} er VSK {vatPercent} % í Moment en "
        "{booksPercent} % í {system} þann {date}.",
        "Leiðréttið VSK-kóðann á bókhaldslykli línunnar í Moment, eða hlutfall VSK-kóða {vatCode} "
        "í {system}, og sendið aftur.",
    ),
    FailureCode.VAT_PERCENT_MISSING: Words(
        "{entity} fór ekki í {system}: vara {itemCode} er ekki til þar, og ekki er hægt að stofna "
        "hana því að VSK-prósentu vantar á línu reikningsins.",
        "Stofnið vöru {itemCode} með réttum VSK í {system} og sendið aftur.",
    ),
    FailureCode.PRODUCT_VAT_DIFFERS: Words(
        "{entity} fór ekki í {system}: á vöru {itemCode} er {booksPercent} % VSK þar, en "
        "{vatPercent} % í Moment.",
        "Leiðréttið VSK á vöru {itemCode} í {system}, eða notið aðra vöru á línuna í Moment, og "
        "sendið aftur.",
    ),
    FailureCode.PERIOD_LOCKED: Words(
        "{entity} fór ekki í {system}: dagsetningin er {date}, en bókhaldið er læst til og með "
        "{lockDate}.",
        "Biðjið þann sem sér um bókhaldið að færa læsinguna í {system} aftur fyrir {date}. Sendið "
        "aftur og læsið tímabilinu á ný.",
    ),
    FailureCode.LINE_TOTAL_DIFFERS: Words(
        "{entity} fór ekki í {system}: samtala línu {line} er {found}, en magn, verð, álag og "
        "afsláttur gefa {expected}.",
        "Fjárhæðum er aldrei breytt á leiðinni. Látið þann vita sem afhendir gögnin úr Moment, "
        "svo að reikningurinn verði sendur á ný með réttum fjárhæðum.",
    ),
    FailureCode.TOTALS_DIFFER: Words(
        "{entity} fór ekki í {system}: heildarfjárhæðin er {found}, en línurnar gefa {expected}.",
        "Fjárhæðum er aldrei breytt á leiðinni. Látið þann vita sem afhendir gögnin úr Moment, "
        "svo að reikningurinn verði sendur á ný með réttum fjárhæðum.",
    ),
    FailureCode.CREDIT_SIGN: Words(
        "{entity} fór ekki í {system}: þetta er kreditreikningur, en heildarfjárhæðin, {total}, "
        "er yfir núlli.",
        "Athugið í Moment hvort þetta átti að vera venjulegur reikningur og gerið hann upp á "
        "nýtt þar; sá nýi flyst af sjálfu sér. Hafnið síðan þessum.",
    ),
    FailureCode.CURRENCY_UNKNOWN: Words(
        "{entity} fór ekki í {system}: gjaldmiðillinn {currency} er ekki til þar.",
        "Bætið gjaldmiðlinum {currency} við í {system} og sendið aftur.",
    ),
    FailureCode.CURRENCY_RATE_MISSING: Words(
        "{entity} fór ekki í {system}: fjárhæðir eru í {currency}, og gengi gagnvart "
        "{baseCurrency} vantar.",
        "Skráið gengi {currency} í {baseCurrency} í Moment, svo að reikningurinn verði sendur á "
        "ný með því.",
    ),
    FailureCode.KENNITALA_MISSING: Words(
        "{entity} fór ekki í {system}: kennitölu vantar á viðskiptamann {number}.",
        "Skráið kennitölu á viðskiptamann {number} í Moment og sendið aftur.",
    ),
    FailureCode.KENNITALA_INVALID: Words(
        "{entity} fór ekki í {system}: kennitala viðskiptamannsins, {number}, er ekki tíu "
        "tölustafir.",
        "Leiðréttið kennitölu viðskiptamannsins í Moment og sendið aftur.",
    ),
    FailureCode.ITEM_CODE_MISSING: Words(
        "{entity} fór ekki í {system}: ekkert vörunúmer fannst fyrir línu {line}. Leitað var að: "
        "{sources}.",
        "Tengið línuna við vöru með númeri í Moment, eða fyllið út bókhaldslykil línunnar (ytri "
        "tekjuflokkur eða VSK-kóði), og sendið aftur.",
    ),
    FailureCode.ITEM_CODE_TOO_LONG: Words(
        "{entity} fór ekki í {system}: vörunúmerið {itemCode} er lengra en {limit} stafir.",
        "Styttið númerið í Moment, í mesta lagi {limit} stafi, og sendið aftur.",
    ),
    FailureCode.REFERENCE_INVALID: Words(
        "{entity} fór ekki í {system}: númerið {number} getur ekki verið tilvísun þar. Leyfilegt "
        "eru mest {limit} bókstafir (a til z), tölustafir og . _ ~ -",
        "Kreditfærið reikninginn í Moment og gerið hann upp á nýtt með númeri sem {system} getur "
        "tekið við; sá nýi flyst af sjálfu sér. Hafnið síðan þessum.",
    ),
    FailureCode.SALES_PERSON_UNKNOWN: Words(
        "Flutningur í {system} er í bið: sölumaður {salesPerson} er ekki til þar.",
        "Stofnið sölumann {salesPerson} í {system}, eða leiðréttið númer sölumannsins í "
        "stillingum tengingarinnar.",
    ),
    FailureCode.CUSTOMER_BLOCKED: Words(
        "{entity} fór ekki í {system}: viðskiptamaður {number} er lokaður þar.",
        "Gerið viðskiptamann {number} virkan í Moment, eða opnið hann í {system}, og sendið aftur.",
    ),
    FailureCode.CREDENTIALS_REFUSED: Words(
        "Flutningur í {system} er í bið: aðgangi tengingarinnar er hafnað þar ({answer}).",
        "Endurnýið aðgang tengingarinnar að {system}.",
    ),
    FailureCode.RIGHT_MISSING: Words(
        "Flutningur í {system} er í bið: tenginguna vantar réttindi þar ({answer}).",
        "Veitið notanda tengingarinnar réttindi að viðskiptamönnum, verkum og reikningum í "
        "{system}.",
    ),
    FailureCode.NOT_ACTIVATED: Words(
        "Flutningur í {system} er í bið: tengingin hefur ekki aðgang að fyrirtækinu þar.",
        "Virkið tenginguna á markaðstorginu í {system}; það getur tekið allt að 24 tíma. Athugið "
        "einnig fyrirtækjalykilinn, sem sést þar undir „?“ → Systeminformasjon.",
    ),
    FailureCode.COMPANY_UNKNOWN: Words(
        "{entity} fór hvergi: engin tenging er sett upp fyrir fyrirtækið {company}.",
        "Setjið upp tengingu fyrir fyrirtækið {company} og sendið aftur.",
    ),
    FailureCode.EVENT_UNREADABLE: Words(
        "Ekki var hægt að lesa atburð úr Moment: {reason}.",
        "Látið þann vita sem afhendir atburðina úr Moment; atburðurinn er geymdur eins og hann "
        "kom. Leiðréttan atburð má senda hvenær sem er.",
    ),
    FailureCode.EVENT_INVALID: Words(
        "{entity} fór ekki áfram: villa er í gögnum úr Moment í {path}: {reason}.",
        "Leiðréttið {path} í Moment, eða látið þann vita sem afhendir atburðina, og sendið aftur.",
    ),
    FailureCode.EVENT_TYPE_UNKNOWN: Words(
        "Atburður úr Moment er af óþekktri gerð: {type}.",
        "Látið þann vita sem afhendir atburðina úr Moment: gerðin eða efnisrásin er röng.",
    ),
    FailureCode.EVENT_ID_REUSED: Words(
        "{entity} fór ekki áfram: eldri atburður með öðru innihaldi hefur sama auðkenni, {id}, "
        "frá {source}.",
        "Látið þann vita sem afhendir atburðina úr Moment: senda þarf á ný með sérstöku auðkenni.",
    ),
    FailureCode.INVOICE_DIFFERS_FROM_BOOKED: Words(
        "Reikningur {number} er þegar bókaður í {system} sem {booked}, með öðru innihaldi. Engu "
        "var breytt þar.",
        "Berið þá saman. Það sem er bókað stendur: leiðréttið með kreditreikningi og nýjum "
        "reikningi í Moment, sem flytjast af sjálfu sér. Hafnið síðan þessum.",
    ),
    FailureCode.SWITCHED_OFF: Words(
        "{entity} bíður: slökkt er á flutningi gagna af þessu tagi, eða á allri tengingunni við "
        "{system}.",
        "Kveikið aftur í stillingum tengingarinnar, eða hafnið því sem bíður.",
    ),
    FailureCode.BOOKS_IDENTITY_CHANGED: Words(
        "Flutningur í {system} er í bið: tengingin vísar nú á bókhald annars fyrirtækis. Ekkert "
        "var skráð þar.",
        "Leiðréttið stillingar tengingarinnar svo að þær vísi á rétt fyrirtæki.",
    ),
    FailureCode.FOUND_TWICE: Words(
        "{entity} gæti verið til oftar en einu sinni í {system}: númerið {number} kemur fyrir "
        "{hits} sinnum.",
        "Flettið {number} upp í {system}, bakfærið það sem er umfram svo að eitt standi eftir, og "
        "sendið aftur: það sem eftir stendur finnst þá.",
    ),
    FailureCode.TOO_LONG: Words(
        "{entity} fór ekki í {system}: gildi er {length} að lengd, en mest {limit} er leyfilegt.",
        "Styttið það í Moment og sendið aftur.",
    ),
    FailureCode.RETRIES_EXHAUSTED: Words(
        "{entity} fór ekki í {system}: hætt var eftir tilraunir ({attempts}). Síðasta bilun: "
        "{lastCode} ({answer}).",
        "Sendið aftur þegar {system} starfar eðlilega.",
    ),
    FailureCode.REFUSED_BY_SYSTEM: Words(
        "{entity} fór ekki í {system}, sem hafnaði og svaraði: {answer} (HTTP {status}).",
        "Lagið í Moment eða {system} það sem svarið bendir á og sendið aftur. Sé svarið "
        "óskiljanlegt, látið þann vita sem rekur tenginguna.",
    ),
    FailureCode.ANSWER_NOT_UNDERSTOOD: Words(
        "{entity}: svarið frá {system} skildist ekki: {answer} (HTTP {status}).",
        "Athugið í {system} hvort þetta er komið þangað og látið þann vita sem rekur tenginguna. "
        "Eftir það má senda aftur.",
    ),
    FailureCode.SYSTEM_UNAVAILABLE: Words(
        "{system} getur ekki svarað sem stendur (HTTP {status}).",
        "Ekkert þarf að gera: reynt verður aftur.",
    ),
    FailureCode.TOO_MANY_REQUESTS: Words(
        "{system} biður um hlé.",
        "Ekkert þarf að gera: reynt verður aftur eftir hléið.",
    ),
    FailureCode.CONNECTION_FAILED: Words(
        "Ekki náðist samband við {system}: {reason}.",
        "Ekkert þarf að gera: reynt verður aftur. Ef þetta varir þarf að athuga nettenginguna við "
        "{system}.",
    ),
    FailureCode.WRITE_UNCERTAIN: Words(
        "{entity} fór af stað í {system}, en ekkert svar barst. Kannað verður þar undir {number} "
        "hvort sendingin skilaði sér.",
        "Skráið þetta ekki í höndunum á meðan. Ef hætt hefur verið við: leitið að {number} í "
        "{system} og sendið aftur ef það er ekki þar.",
    ),
    FailureCode.BREAKER_OPEN: Words(
        "Hlé er á flutningi í {system} því að of mörg köll hafa mistekist.",
        "Ekkert þarf að gera: reynt er aftur með stuttu millibili.",
    ),
}

ACTIONS_BY_SYSTEM: dict[tuple[FailureCode, str], str] = {
    (FailureCode.CREDENTIALS_REFUSED, "sparebank1"): (
        "Athugið á markaðstorginu í {system} að tengingin sé virk, og að banki og "
        "fyrirtækjalykill („?“ → Systeminformasjon) séu rétt. Annars þarf sá sem rekur tenginguna "
        "að endurnýja lykil hennar."
    ),
    (FailureCode.CREDENTIALS_REFUSED, "dkplus"): (
        "Búið til nýtt auðkenningartákn í {system} undir Valmynd/Stillingar, auðkenningartákn, og "
        "setjið það í tenginguna."
    ),
    (FailureCode.RIGHT_MISSING, "dkplus"): (
        "Veitið notandanum sem auðkenningartáknið tilheyrir réttindi að viðskiptamönnum, verkum, "
        "vörum og sölureikningum í {system}."
    ),
    (FailureCode.BOOKS_IDENTITY_CHANGED, "sparebank1"): (
        "Berið banka og fyrirtækjalykil tengingarinnar saman við það sem {system} sýnir undir "
        "„?“ → Systeminformasjon, og leiðréttið."
    ),
    (FailureCode.BOOKS_IDENTITY_CHANGED, "dkplus"): (
        "Auðkenningartákn tilheyrir einu fyrirtæki. Búið það til í réttu fyrirtæki í {system} "
        "undir Valmynd/Stillingar, auðkenningartákn, og setjið það í tenginguna."
    ),
}

WARNINGS: dict[WarningCode, str] = {
    WarningCode.KID_CHECK_DIGIT: "Vartala greiðsluauðkennis (KID) {paymentId} er röng. Það var "
    "flutt óbreytt.",
    WarningCode.ORGANISATION_NUMBER_CHECK_DIGIT: "Vartala fyrirtækisnúmersins "
    "{organisationNumber} er röng. Það var flutt óbreytt; athugið það í Moment.",
    WarningCode.KENNITALA_CHECK_DIGIT: "Vartala kennitölunnar {number} stenst ekki. Hún var flutt "
    "óbreytt, því að nýrri kennitölur þurfa ekki að hafa vartölu.",
    WarningCode.INVOICE_NUMBER_DIFFERS: "Reikningur {moment} er númer {books} í {system}. Látið "
    "númeraraðirnar fylgjast að á ný.",
    WarningCode.AMOUNT_DIFFERS: "Heildarfjárhæðin er {moment} í Moment en {books} í {system}.",
    WarningCode.PROJECT_NOT_KEPT: "Verk {project} fór ekki á reikninginn í {system}. Skráið það "
    "þar í höndunum.",
    WarningCode.CUSTOMER_TWIN: "Viðskiptamaður {number} gæti verið sá sami og viðskiptamaður "
    "{twin} í {system}. Athugið hvort öðrum þeirra er ofaukið.",
    WarningCode.VOUCHER_NUMBER_NOT_TAKEN: "{system} tók ekki við fylgiskjalsnúmerinu {proposed} "
    "og gaf {given} í staðinn.",
    WarningCode.PARENT_STALE: "Síðasta breyting hefur ekki skilað sér í {system} ({parentType} "
    "{parentNumber}); þetta var flutt samt sem áður.",
    WarningCode.NOTHING_TO_BOOK: "Engin lína er með fjárhæð, svo að ekkert var að bóka.",
    WarningCode.TEXT_SHORTENED: "Textinn í {field} var styttur í {limit} stafi, það mesta sem "
    "{system} tekur við.",
}

ICELANDIC = Language(
    name="Íslenska",
    failures=FAILURES,
    actions_by_system=ACTIONS_BY_SYSTEM,
    warnings=WARNINGS,
    endings={
        Ending.AGAIN: "Óhætt er að senda aftur (replay): ekkert er skráð tvisvar.",
        Ending.BY_ITSELF: "Það sem bíður fer síðan af sjálfu sér; ekkert glatast.",
        Ending.CORRECTED: "Leiðrétt útgáfa kemur sjálfkrafa í stað þessarar.",
        Ending.NONE: "",
    },
    entities={"customer": "viðskiptamaður", "project": "verk", "invoice": "reikningur"},
    values={
        "parentType": {
            "customer": "viðskiptamaður",
            "project": "verk",
            "invoice": "reikningur",
        },
        "sources": {
            "productNumber": "vörunúmer",
            "externalRevenueClass": "ytri tekjuflokkur",
            "vatCode": "VSK-kóði",
        },
    },
    some_entity="atburðurinn",
    some_system="bókhaldskerfi",
)
