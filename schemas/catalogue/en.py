"""The failure catalogue in English."""

from schemas.catalogue.shape import Ending, Language, Words
from schemas.failures import FailureCode, WarningCode

FAILURES: dict[FailureCode, Words] = {
    FailureCode.CUSTOMER_NUMBER_OUT_OF_RANGE: Words(
        "{entity} was not transferred to {system}: customer number {number} is not "
        "between {from} and {to}, the customer number series there.",
        "Give the customer a number from {from} to {to} in Moment; it then goes by itself. "
        "Or widen the customer number series in {system} and send it again.",
    ),
    FailureCode.CUSTOMER_NUMBER_NOT_NUMERIC: Words(
        "{entity} was not transferred to {system}: customer number {number} has other "
        "characters than digits.",
        "Give the customer a number of digits only in Moment; it then goes by itself.",
    ),
    FailureCode.PROJECT_NUMBER_NOT_NUMERIC: Words(
        "{entity} was not transferred to {system}: project number {number} has other "
        "characters than digits.",
        "Give the project a number of digits only in Moment; it then goes by itself.",
    ),
    FailureCode.CUSTOMER_MISSING: Words(
        "{entity} was not transferred to {system}: customer {number} is not there, and customers "
        "are switched off for this integration.",
        "Create customer {number} in {system}, or switch customers on in the settings of the "
        "integration, and send it again.",
    ),
    FailureCode.PROJECT_MISSING: Words(
        "{entity} was not transferred to {system}: project {number} is not there.",
        "Create project {number} in {system}, or save it once more in Moment so that it is "
        "transferred, and send this one again.",
    ),
    FailureCode.PARENT_DEAD: Words(
        "{entity} waits: {parentType} {parentNumber} must be in {system} first, and was not "
        "transferred ({parentCode}).",
        "Mend {parentType} {parentNumber} as its own message says. When it is in {system}, "
        "{entity} goes by itself.",
    ),
    FailureCode.PARENT_ABSENT: Words(
        "{entity} waits: {parentType} {parentNumber} must be in {system} first, and has not come "
        "from Moment.",
        "Save {parentType} {parentNumber} once more in Moment so that it is transferred. When it "
        "is in {system}, {entity} goes by itself.",
    ),
    FailureCode.ACCOUNT_UNKNOWN: Words(
        "{entity} was not transferred to {system}: account {account} is not in the chart of "
        "accounts there.",
        "Create account {account} in {system}, or correct the account number in Moment, and send "
        "it again.",
    ),
    FailureCode.ACCOUNT_LOCKED: Words(
        "{entity} was not transferred to {system}: account {account} is locked there.",
        "Unlock account {account} in {system}, for manual postings too, or use another account "
        "in Moment, and send it again.",
    ),
    FailureCode.VAT_CODE_UNKNOWN: Words(
        "{entity} was not transferred to {system}: VAT code {vatCode} is not there.",
        "Correct the VAT code of the line's financial account in Moment to one that {system} has, "
        "and send it again.",
    ),
    FailureCode.VAT_CODE_NOT_VALID: Words(
        "{entity} was not transferred to {system}: VAT code {vatCode} is not valid there on "
        "{date}.",
        "Choose a VAT code that is valid on {date} for the line's financial account in Moment, or "
        "open VAT code {vatCode} in {system}, and send it again.",
    ),
    FailureCode.VAT_RATE_DIFFERS: Words(
        "{entity} was not transferred to {system}: with VAT code {vatCode}, Moment has "
        "{vatPercent} % VAT and {system} {booksPercent} % on {date}.",
        "Correct the VAT code of the line's financial account in Moment, or the rate of VAT code "
        "{vatCode} in {system}, and send it again.",
    ),
    FailureCode.VAT_PERCENT_MISSING: Words(
        "{entity} was not transferred to {system}: product {itemCode} is not there, and cannot be "
        "created because the invoice line has no VAT percent.",
        "Create product {itemCode} with the right VAT in {system} and send it again.",
    ),
    FailureCode.PRODUCT_VAT_DIFFERS: Words(
        "{entity} was not transferred to {system}: product {itemCode} has {booksPercent} % VAT "
        "there, and {vatPercent} % in Moment.",
        "Correct the VAT of product {itemCode} in {system}, or use another product for the line "
        "in Moment, and send it again.",
    ),
    FailureCode.PERIOD_LOCKED: Words(
        "{entity} was not transferred to {system}: it is dated {date}, and the books are locked "
        "up to and including {lockDate}.",
        "Ask whoever keeps the books to move the lock date in {system} to before {date}, send it "
        "again, and lock the period again.",
    ),
    FailureCode.LINE_TOTAL_DIFFERS: Words(
        "{entity} was not transferred to {system}: the total of line {line} is {found}, while "
        "quantity, price, surcharge and discount make {expected}.",
        "Amounts are never corrected on the way. Report it to whoever delivers the data from "
        "Moment, so that the invoice is sent anew with amounts that agree.",
    ),
    FailureCode.TOTALS_DIFFER: Words(
        "{entity} was not transferred to {system}: the total is {found}, while its lines make "
        "{expected}.",
        "Amounts are never corrected on the way. Report it to whoever delivers the data from "
        "Moment, so that the invoice is sent anew with amounts that agree.",
    ),
    FailureCode.CREDIT_SIGN: Words(
        "{entity} was not transferred to {system}: it is a credit note, yet its total, {total}, "
        "is above zero.",
        "Check in Moment whether an invoice was meant, and write it anew there; the new one goes "
        "by itself. Then discard this one.",
    ),
    FailureCode.CURRENCY_UNKNOWN: Words(
        "{entity} was not transferred to {system}: currency {currency} is not there.",
        "Add currency {currency} in {system} and send it again.",
    ),
    FailureCode.CURRENCY_RATE_MISSING: Words(
        "{entity} was not transferred to {system}: it is in {currency}, and the exchange rate to "
        "{baseCurrency} is missing.",
        "Enter the rate of {currency} in {baseCurrency} in Moment, so that the invoice is sent "
        "anew with it.",
    ),
    FailureCode.KENNITALA_MISSING: Words(
        "{entity} was not transferred to {system}: customer {number} has no kennitala.",
        "Enter the kennitala of customer {number} in Moment and send this one again.",
    ),
    FailureCode.KENNITALA_INVALID: Words(
        "{entity} was not transferred to {system}: the customer's kennitala, {number}, is not ten "
        "digits.",
        "Correct the kennitala of the customer in Moment and send this one again.",
    ),
    FailureCode.ITEM_CODE_MISSING: Words(
        "{entity} was not transferred to {system}: no item code was found for line {line}. Looked "
        "for: {sources}.",
        "In Moment, link the line to a product with a number, or complete the line's financial "
        "account (external revenue class or VAT code), and send it again.",
    ),
    FailureCode.ITEM_CODE_TOO_LONG: Words(
        "{entity} was not transferred to {system}: item code {itemCode} has more than {limit} "
        "characters.",
        "Shorten the code in Moment to at most {limit} characters and send it again.",
    ),
    FailureCode.REFERENCE_INVALID: Words(
        "{entity} was not transferred to {system}: number {number} cannot be a reference there. "
        "Allowed are at most {limit} letters (a to z), digits and . _ ~ -",
        "Credit the invoice in Moment and write it anew under a number that {system} can take; "
        "the new one goes by itself. Then discard this one.",
    ),
    FailureCode.SALES_PERSON_UNKNOWN: Words(
        "Transfers to {system} are held: sales person {salesPerson} is not there.",
        "Create sales person {salesPerson} in {system}, or correct the sales person number in the "
        "settings of the integration.",
    ),
    FailureCode.CUSTOMER_BLOCKED: Words(
        "{entity} was not transferred to {system}: customer {number} is blocked there.",
        "Set customer {number} to active in Moment, or lift the block in {system}, and send it "
        "again.",
    ),
    FailureCode.CREDENTIALS_REFUSED: Words(
        "Transfers to {system} are held: it does not accept the integration's credentials "
        "({answer}).",
        "Renew the integration's credentials for {system}.",
    ),
    FailureCode.RIGHT_MISSING: Words(
        "Transfers to {system} are held: the integration lacks a right there ({answer}).",
        "Give the integration's user the rights to customers, projects and invoices in {system}.",
    ),
    FailureCode.NOT_ACTIVATED: Words(
        "Transfers to {system} are held: the integration has no access to the company there.",
        "Activate the integration in the marketplace of {system}; it can take up to 24 hours to "
        "work. Check the company key too, shown there under “?” → Systeminformasjon.",
    ),
    FailureCode.COMPANY_UNKNOWN: Words(
        "{entity} went nowhere: no integration is set up for company {company}.",
        "Set up an integration for company {company} and send it again.",
    ),
    FailureCode.EVENT_UNREADABLE: Words(
        "An event from Moment could not be read: {reason}.",
        "Report it to whoever delivers the events from Moment; the dead letter has it byte for "
        "byte. A mended event can be sent at any time.",
    ),
    FailureCode.EVENT_INVALID: Words(
        "{entity} was not transferred: the data from Moment is wrong at {path}: {reason}.",
        "Correct {path} in Moment, or report it to whoever delivers the events, and send it again.",
    ),
    FailureCode.EVENT_TYPE_UNKNOWN: Words(
        "An event from Moment is of a type that is not known here: {type}.",
        "Report it to whoever delivers the events from Moment: type or topic is wrong.",
    ),
    FailureCode.EVENT_ID_REUSED: Words(
        "{entity} was not transferred: an earlier event with other content has the same id, {id}, "
        "from {source}.",
        "Report it to whoever delivers the events from Moment: it must be sent anew under an id "
        "of its own.",
    ),
    FailureCode.INVOICE_DIFFERS_FROM_BOOKED: Words(
        "Invoice {number} is already booked in {system} as {booked}, with other content. Nothing "
        "was changed there.",
        "Compare the two. What is booked stays: correct it by a credit note and a new invoice in "
        "Moment, which go by themselves. Then discard this one.",
    ),
    FailureCode.SWITCHED_OFF: Words(
        "{entity} waits: its kind of data, or the whole integration with {system}, has been "
        "switched off.",
        "Switch it on again in the settings of the integration, or discard what waits.",
    ),
    FailureCode.BOOKS_IDENTITY_CHANGED: Words(
        "Transfers to {system} are held: the integration now leads to the books of another "
        "company. Nothing was written there.",
        "Correct the settings of the integration so that they lead to the right company.",
    ),
    FailureCode.FOUND_TWICE: Words(
        "{entity} may be entered more than once in {system}: number {number} is found {hits} "
        "times.",
        "Look {number} up in {system}, reverse what is there too many times so that one is left, "
        "and send it again: it finds that one.",
    ),
    FailureCode.TOO_LONG: Words(
        "{entity} was not transferred to {system}: a value has length {length}, and at most "
        "{limit} is allowed.",
        "Shorten it in Moment and send it again.",
    ),
    FailureCode.RETRIES_EXHAUSTED: Words(
        "{entity} was given up after {attempts} attempts to transfer it to {system}. The last "
        "failure: {lastCode} ({answer}).",
        "Send it again when {system} works as usual.",
    ),
    FailureCode.REFUSED_BY_SYSTEM: Words(
        "{entity} was refused by {system}, which answered: {answer} (HTTP {status}).",
        "Mend in Moment or {system} what the answer points at and send it again. If the answer "
        "says nothing to you, report it to whoever runs the integration.",
    ),
    FailureCode.ANSWER_NOT_UNDERSTOOD: Words(
        "{entity}: the answer of {system} was not understood: {answer} (HTTP {status}).",
        "Look in {system} whether it is there, and report this to whoever runs the integration. "
        "It can be sent again afterwards.",
    ),
    FailureCode.SYSTEM_UNAVAILABLE: Words(
        "{system} cannot answer at the moment (HTTP {status}).",
        "Nothing needs to be done: it is tried again.",
    ),
    FailureCode.TOO_MANY_REQUESTS: Words(
        "{system} asks for a pause.",
        "Nothing needs to be done: it is tried again after the pause.",
    ),
    FailureCode.CONNECTION_FAILED: Words(
        "{system} could not be reached: {reason}.",
        "Nothing needs to be done: it is tried again. If it lasts, have the network connection to "
        "{system} checked.",
    ),
    FailureCode.WRITE_UNCERTAIN: Words(
        "{entity} was sent to {system}, but no answer came. Whether it arrived is looked up there "
        "under {number}.",
        "Do not enter it by hand meanwhile. If it was given up: look for {number} in {system}, "
        "and send it again if it is not there.",
    ),
    FailureCode.BREAKER_OPEN: Words(
        "Transfers to {system} pause, because too many calls have failed.",
        "Nothing needs to be done: a call is tried at short intervals.",
    ),
}

ACTIONS_BY_SYSTEM: dict[tuple[FailureCode, str], str] = {
    (FailureCode.CREDENTIALS_REFUSED, "sparebank1"): (
        "Check in the marketplace of {system} that the integration is active, and that bank and "
        "company key (“?” → Systeminformasjon) are right. Else whoever runs the integration must "
        "renew its client key."
    ),
    (FailureCode.CREDENTIALS_REFUSED, "dkplus"): (
        "Make a new token in {system} under Menu/Settings (Stillingar), tokens "
        "(auðkenningartákn), and put it into the integration."
    ),
    (FailureCode.RIGHT_MISSING, "dkplus"): (
        "Give the user that the token belongs to the rights to customers, projects, products and "
        "sales invoices in {system}."
    ),
    (FailureCode.BOOKS_IDENTITY_CHANGED, "sparebank1"): (
        "Compare bank and company key of the integration with what {system} shows under “?” → "
        "Systeminformasjon, and correct them."
    ),
    (FailureCode.BOOKS_IDENTITY_CHANGED, "dkplus"): (
        "A token belongs to one company. Make one in the right company in {system} under "
        "Menu/Settings (Stillingar), tokens (auðkenningartákn), and put it into the integration."
    ),
}

WARNINGS: dict[WarningCode, str] = {
    WarningCode.KID_CHECK_DIGIT: "The check digit of payment id (KID) {paymentId} is wrong. It "
    "was transferred as it is.",
    WarningCode.ORGANISATION_NUMBER_CHECK_DIGIT: "The check digit of organisation number "
    "{organisationNumber} is wrong. It was transferred as it is; check it in Moment.",
    WarningCode.KENNITALA_CHECK_DIGIT: "The check digit of kennitala {number} is not right. It "
    "was transferred as it is, since newer kennitölur need not have one.",
    WarningCode.INVOICE_NUMBER_DIFFERS: "Invoice {moment} has number {books} in {system}. Bring "
    "the number series of the two together again.",
    WarningCode.AMOUNT_DIFFERS: "The total is {moment} in Moment and {books} in {system}.",
    WarningCode.PROJECT_NOT_KEPT: "{system} did not keep project {project} on the invoice. Enter "
    "it there by hand.",
    WarningCode.CUSTOMER_TWIN: "Customer {number} may be the same as customer {twin} in {system}. "
    "Check whether one of them is to go.",
    WarningCode.VOUCHER_NUMBER_NOT_TAKEN: "{system} did not take voucher number {proposed} and "
    "gave {given} instead.",
    WarningCode.PARENT_STALE: "The last change of {parentType} {parentNumber} has not reached "
    "{system}; this was transferred all the same.",
    WarningCode.NOTHING_TO_BOOK: "No line has an amount, so there was nothing to book.",
    WarningCode.TEXT_SHORTENED: "The text of {field} was cut to {limit} characters, the most "
    "that {system} takes.",
}

ENGLISH = Language(
    name="English",
    failures=FAILURES,
    actions_by_system=ACTIONS_BY_SYSTEM,
    warnings=WARNINGS,
    endings={
        Ending.AGAIN: "Sending again (replay) is safe: nothing is entered twice.",
        Ending.BY_ITSELF: "What waits goes by itself afterwards; nothing is lost.",
        Ending.CORRECTED: "A corrected version takes this one's place by itself.",
        Ending.NONE: "",
    },
    entities={"customer": "customer", "project": "project", "invoice": "invoice"},
    values={
        "parentType": {"customer": "customer", "project": "project", "invoice": "invoice"},
        "sources": {
            "productNumber": "product number",
            "externalRevenueClass": "external revenue class",
            "vatCode": "VAT code",
        },
    },
    some_entity="the event",
    some_system="the accounting system",
)
