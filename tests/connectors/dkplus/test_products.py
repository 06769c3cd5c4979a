from decimal import Decimal
from typing import Any

import pytest

from connectors.dkplus.connector import DkPlus
from connectors.dkplus.requests import get_product
from connectors.port import Absent, Applied, Intent, Refused, Retry, Settled, Unsure
from schemas.events import Invoice
from tests.connectors.dkplus.driver import (
    HOURS,
    INVOICE,
    KENNITALA,
    Dk,
    changed,
    codes,
    deliver,
    drive,
    invoice_job,
    job,
    reply,
)


def with_lines(*members: dict[str, Any]) -> Invoice:
    return changed(INVOICE, lines=tuple(changed(HOURS, **each) for each in members))


def without_products() -> Dk:
    dk = Dk()
    dk.products.clear()
    return dk


def product_posts(dk: Dk) -> list[Any]:
    return [body for path, body in dk.sent("POST") if path == "/product"]


def test_a_missing_product_is_created_with_the_lines_rate() -> None:
    dk = without_products()
    verdict = deliver(invoice_job(), dk)
    assert isinstance(verdict, Applied)
    assert product_posts(dk) == [
        {
            "ItemCode": "ráðgjöf",
            "Description": "Ráðgjöf í mars",
            "TaxPercent": 24,
            "AllowDiscount": True,
            "AllowNegativeInventiry": True,
            "ShowItemInWebShop": False,
            "Inactive": False,
        }
    ]
    assert [intent.kind for intent in dk.intents] == ["product.create", "invoice.book"]
    assert not dk.intents[0].repeatable
    assert not dk.intents[0].booking


@pytest.mark.parametrize(
    ("code", "path", "query"),
    [
        ("ráð", "/product/r%C3%A1%C3%B0", ()),
        ("a b", "/product/a%20b", ()),
        ("a/b", "/product/YS9i", (("isBase64", "true"),)),
        ("..", "/product/Li4%3D", (("isBase64", "true"),)),
    ],
)
def test_a_code_travels_in_the_path(code: str, path: str, query: Any) -> None:
    request = get_product(code)
    assert (request.path, request.query) == (path, query)


def test_codes_are_compared_in_lower_case_and_looked_up_once() -> None:
    dk = without_products()
    deliver(invoice_job(with_lines({"product_number": "ABC"}, {"product_number": "abc"})), dk)
    assert len(product_posts(dk)) == 1
    assert dk.calls.count("GET /product/abc") == 1


def test_a_description_is_cut_by_us_and_told() -> None:
    dk = without_products()
    verdict = deliver(invoice_job(with_lines({"product_name": "ð" * 41})), dk)
    assert product_posts(dk)[0]["Description"] == "ð" * 40
    assert codes(verdict.warnings) == ["text-shortened"]
    assert verdict.warnings[0].parameters == {"field": "Description", "limit": "40"}


def test_a_missing_product_without_a_rate_is_refused_and_nothing_is_created() -> None:
    dk = without_products()
    invoice = with_lines({}, {"product_number": "b", "vat_percent": None})
    verdict = deliver(invoice_job(invoice), dk)
    assert verdict.failure.code == "vat-percent-missing"
    assert verdict.failure.field == "$.lines[1].vatPercent"
    assert dk.intents == []


def test_lines_that_disagree_on_a_missing_products_rate_are_refused() -> None:
    dk = without_products()
    verdict = deliver(invoice_job(with_lines({}, {"vat_percent": Decimal(11)})), dk)
    assert verdict.failure.code == "product-vat-differs"
    assert verdict.failure.field == "$.lines[1].vatPercent"
    assert dk.intents == []


def test_a_products_other_rate_is_refused_naming_both() -> None:
    dk = Dk()
    verdict = deliver(invoice_job(with_lines({"vat_percent": Decimal(11)})), dk)
    assert isinstance(verdict, Refused)
    assert verdict.failure.code == "product-vat-differs"
    assert verdict.failure.parameters == {
        "itemCode": "Ráðgjöf",
        "vatPercent": "11",
        "booksPercent": "24",
    }
    assert dk.intents == []


def test_a_remembered_rate_refuses_nothing() -> None:
    """Somebody mended the product a minute ago."""
    cache: dict[str, Any] = {}
    deliver(invoice_job(), Dk(), cache)
    mended = Dk()
    mended.products["ráðgjöf"]["TaxPercent"] = 11.0
    invoice = with_lines({"vat_percent": Decimal(11)})
    assert isinstance(deliver(invoice_job(invoice), mended, cache), Applied)


@pytest.mark.parametrize(
    "record", [{"ItemCode": "ráðgjöf"}, {"ItemCode": "RÁÐGJÖF", "TaxPercent": 24}]
)
def test_a_product_whose_rate_is_not_told_is_taken_as_it_is(record: dict[str, Any]) -> None:
    dk = Dk()
    dk.products["ráðgjöf"] = record
    assert isinstance(deliver(invoice_job(), dk), Applied)
    assert dk.sent("POST")[-1][1]["Lines"][0]["ItemCode"] == record["ItemCode"]


@pytest.mark.parametrize(
    ("no_vat", "percent", "verdict"), [(True, 0, Applied), (False, 0, Refused), (True, 11, Refused)]
)
def test_no_vat_on_the_line_is_right_for_a_customer_without_vat(
    no_vat: bool, percent: int, verdict: type
) -> None:
    dk = Dk()
    dk.customers[KENNITALA]["NoVat"] = no_vat
    invoice = with_lines({"vat_percent": Decimal(percent)})
    assert isinstance(deliver(invoice_job(invoice), dk), verdict)


def test_that_a_customer_is_without_vat_is_remembered() -> None:
    dk = Dk()
    dk.customers[KENNITALA]["NoVat"] = True
    cache: dict[str, Any] = {}
    invoice = with_lines({"vat_percent": Decimal(0)})
    deliver(invoice_job(invoice), dk, cache)
    again = Dk()
    deliver(invoice_job(invoice), again, cache)
    assert again.calls == ["POST /sales/invoice"]


@pytest.mark.parametrize("answer", [reply(400, {"Message": "til"}), reply(409), reply(200, {})])
def test_after_a_create_that_shows_no_product_the_books_are_asked(answer: Any) -> None:
    dk = Dk()
    dk.script["GET", "/product/ráðgjöf"] = [reply(404)]
    dk.script["POST", "/product"] = [answer]
    assert isinstance(deliver(invoice_job(), dk), Applied)


@pytest.mark.parametrize("status", [400, 405, 500])
def test_a_refused_create_that_cannot_be_looked_up_is_tried_again(status: int) -> None:
    dk = Dk()
    dk.script["GET", "/product/ráðgjöf"] = [reply(404), reply(status)]
    dk.script["POST", "/product"] = [reply(409)]
    assert isinstance(deliver(invoice_job(), dk), Retry)
    assert "POST /sales/invoice" not in dk.calls


def test_a_product_that_came_meanwhile_with_another_rate_is_refused() -> None:
    dk = Dk()
    dk.products["ráðgjöf"]["TaxPercent"] = 11
    dk.script["GET", "/product/ráðgjöf"] = [reply(404)]
    dk.script["POST", "/product"] = [reply(409)]
    assert deliver(invoice_job(), dk).failure.code == "product-vat-differs"


def test_a_product_that_dk_made_with_another_rate_is_refused() -> None:
    dk = without_products()
    dk.script["POST", "/product"] = [reply(200, {"ItemCode": "ráðgjöf", "TaxPercent": 0.0})]
    assert deliver(invoice_job(), dk).failure.code == "product-vat-differs"


@pytest.mark.parametrize(
    ("answer", "verdict"),
    [
        (reply(400), Refused),
        (reply(200, {}), Unsure),
        (reply(200), Unsure),
        (reply(200, b"{"), Unsure),
        (reply(500), Unsure),
    ],
)
def test_a_create_that_the_books_do_not_confirm(answer: Any, verdict: type) -> None:
    dk = without_products()
    dk.script["POST", "/product"] = [answer]
    came = deliver(invoice_job(), dk)
    assert isinstance(came, verdict)
    if isinstance(came, Unsure):
        assert came.intent.kind == "product.create"
        assert came.intent.key == "ráðgjöf"


@pytest.mark.parametrize(("there", "verdict"), [(True, Settled), (False, Absent)])
def test_an_uncertain_create_is_settled_by_its_code(there: bool, verdict: type) -> None:
    dk = Dk() if there else without_products()
    intent = Intent(kind="product.create", key="ráðgjöf")
    assert isinstance(drive(DkPlus().resolve(job(INVOICE), intent), dk), verdict)
