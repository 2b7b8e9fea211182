"""What schemathesis is to look for beside what it knows itself (journeys/test_fuzz.py)."""

from typing import Any

import schemathesis
from crm_testing.documented import Documented


@schemathesis.check
def headers_are_documented(
    _: schemathesis.CheckContext, response: schemathesis.Response, case: schemathesis.Case[Any]
) -> None:
    """Schemathesis' own checks know which headers must be there, not which must not."""
    documented = Documented(case.operation.schema.raw_schema)
    surprises = documented.surprises(
        case.method.upper(), case.operation.path, response.status_code, response.headers
    )
    assert not surprises, surprises
