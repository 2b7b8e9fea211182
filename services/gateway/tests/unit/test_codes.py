"""Codes of authenticators and of recovery."""

from datetime import UTC, datetime, timedelta

import pytest
from crm_gateway.two_factor import codes

# RFC 6238, appendix B, with the six last digits of its SHA-1 column.
SECRET = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"
VECTORS = [(59, "287082"), (1111111109, "081804"), (1234567890, "005924"), (20000000000, "353130")]


class TestAuthenticator:
    @pytest.mark.parametrize(("at", "code"), VECTORS)
    def test_shows_what_the_rfc_says(self, at: int, code: str) -> None:
        assert codes.step_of(SECRET, code, datetime.fromtimestamp(at, UTC)) == at // 30

    def test_may_be_one_step_off_and_no_more(self) -> None:
        shown = datetime.fromtimestamp(1234567890, UTC)
        for steps, found in ((-2, False), (-1, True), (1, True), (2, False)):
            now = shown + timedelta(seconds=30 * steps)
            assert (codes.step_of(SECRET, "005924", now) is not None) == found, steps

    def test_is_typed_as_people_type(self) -> None:
        now = datetime.fromtimestamp(1234567890, UTC)
        assert codes.step_of(SECRET, " 005 924", now) is not None
        for wrong in ("", "005925", "5924", "٠٠٥٩٢٤", "0059240", "ü", "005924" * 9):
            assert codes.step_of(SECRET, wrong, now) is None, wrong

    def test_reads_its_secret_with_whom_it_is_for(self) -> None:
        uri = codes.uri_of(SECRET, email="ana+crm@example.com", issuer="Ventros CRM")
        assert uri == (
            "otpauth://totp/Ventros%20CRM:ana%2Bcrm%40example.com"
            f"?secret={SECRET}&issuer=Ventros%20CRM"
        )
        assert len(codes.new_secret()) == 32
        assert codes.new_secret() != codes.new_secret()


class TestRecoveryCodes:
    def test_are_ten_of_eighty_bits_and_no_two_alike(self) -> None:
        given = codes.new_recovery_codes()
        assert len(set(given)) == 10
        for code in given:
            assert len(code.replace("-", "")) == 16
            assert codes.is_recovery_code(code)
            typed = f" {code.upper().replace('-', ' ')} "
            assert codes.recovery_hash(typed) == codes.recovery_hash(code)
        assert not codes.is_recovery_code("492 039")
