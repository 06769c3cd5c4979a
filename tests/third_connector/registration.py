"""The registration of Toy Books: all that is changed outside its folder, in one file."""

import shutil
from pathlib import Path

ROOT = Path(__file__).parents[2]
FILE = Path("connectors/systems.py")

# What is added, behind what stands there now.
WORD = ('    DKPLUS = "dkplus"\n', '    TOYBOOKS = "toybooks"\n')
ENTRY = (
    "        customer_with_invoice=True,  # the kennitala stands on the invoice\n    ),\n",
    """\
    System.TOYBOOKS: Registration(
        connector="tests.third_connector.toybooks.connector:ToyBooks",
        token="the token made in Toy Books",
        options={"ledger": "L-[0-9]+"},
        limits=Limits(timeout_s=5.0, settle_s=1.0, bookings=2),
    ),
""",
)


def registered(directory: Path) -> Path:
    """A copy of `connectors` in which Toy Books is registered; the directory to import it from."""
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "connectors", directory / "connectors", ignore=ignored)
    path = directory / FILE
    text = path.read_text(encoding="utf-8")
    for behind, added in (WORD, ENTRY):
        assert text.count(behind) == 1, behind
        text = text.replace(behind, behind + added)
    path.write_text(text, encoding="utf-8")
    return directory
