"""What is mailed to who is of several companies, or is to be."""

import httpx
from crm_fakes.mail import MailServer

from services.gateway.tests.integration.conftest import register
from services.gateway.tests.integration.mail.letters import (
    ANOTHER,
    forgotten,
    letters_to,
    log_in,
    reset,
    token_in,
)
from services.gateway.tests.integration.test_memberships import accept, invite, joined

PAGE = "accept-invitation"


async def test_an_invitation_by_mail_proves_the_address_of_the_account(
    client: httpx.AsyncClient, mail: MailServer
) -> None:
    account, bia, eva = [await register(client) for _ in range(3)]
    by_hand = await accept(client, await invite(client, account, eva.email))
    assert by_hand["user"]["email_verified"] is False
    invited = await invite(client, account, bia.email)
    token = token_in((await letters_to(mail, bia.email, page=PAGE))[0], PAGE)
    assert token != invited["invitation_token"]
    again = await client.post(f"/agents/{invited['id']}/resend-invitation", headers=account.bearer)
    assert again.status_code == 200
    newest = token_in((await letters_to(mail, bia.email, 2, page=PAGE))[-1], PAGE)
    assert await accept(client, {"invitation_token": token}) == "invalid_invitation"
    by_mail = await accept(client, {"invitation_token": newest})
    assert by_mail["user"]["email_verified"] is True


async def test_a_forgotten_password_is_replaced_for_who_any_company_lets_in(
    client: httpx.AsyncClient, mail: MailServer
) -> None:
    account, bia = await register(client), await register(client)
    there = await joined(client, account, bia)
    colleague = await joined(client, bia, await register(client), "admin")
    bearer = {"Authorization": f"Bearer {colleague['access_token']}"}
    gone = await client.put(f"/agents/{bia.user_id}", json={"active": False}, headers=bearer)
    assert gone.status_code == 200
    assert await reset(client, await forgotten(client, mail, bia)) == 204
    for tokens in (there["refresh_token"], bia.body["refresh_token"]):
        answer = await client.post("/auth/refresh", json={"refresh_token": tokens})
        assert answer.status_code == 401
    assert await log_in(client, bia.email, ANOTHER) == 200
