import asyncio

import pytest
from crm_gateway.auth import passwords
from crm_gateway.auth.passwords import Passwords
from service_kit.errors import UnavailableError


class TestPasswords:
    async def test_only_so_many_wait_and_the_next_ones_are_served(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(passwords, "MOST_WAITING", 6)
        few = Passwords(strong=False)
        answers = await asyncio.gather(
            *(few.hash("a password") for _ in range(20)), return_exceptions=True
        )
        refused = [answer for answer in answers if isinstance(answer, UnavailableError)]
        assert len(refused) == 14
        assert await few.verify("a password", str(answers[0]))
        assert not await few.verify("another", str(answers[0]))
        assert not await few.verify("nobody's password", None)
