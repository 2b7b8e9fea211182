"""Numbers of Benin and Ivory Coast count with the digits that their plans gave them since."""

from service_kit.ddl import run

revision = "0029"
down_revision = "0028"

# The owner's policy shows the contacts of all companies.
_COMPANIES = "SELECT DISTINCT tenant_id FROM contact_refs"
_ACT = "SELECT set_config('app.tenant_id', :tenant, true)"
_RENUMBER = """
UPDATE identity_refs AS i SET canonical = k.renumbered
FROM (SELECT tenant_id, canonical, CASE
        WHEN canonical ~ '^229[2-9][0-9]{7}$' THEN '22901'
        WHEN canonical ~ '^225[04-9][0-3][0-9]{6}$' THEN '22501'
        WHEN canonical ~ '^225[04-9][4-6][0-9]{6}$' THEN '22505'
        WHEN canonical ~ '^225[04-9][7-9][0-9]{6}$' THEN '22507'
    END || substr(canonical, 4) AS renumbered
    FROM identity_refs WHERE tenant_id = :tenant AND kind = 'phone') AS k
WHERE i.tenant_id = k.tenant_id AND i.kind = 'phone' AND i.canonical = k.canonical
    AND k.renumbered IS NOT NULL AND NOT EXISTS (SELECT 1 FROM identity_refs AS o
        WHERE o.tenant_id = k.tenant_id AND o.kind = 'phone' AND o.canonical = k.renumbered)
"""


def upgrade() -> None:
    for company in run(_COMPANIES):
        run(_ACT, tenant=company.tenant_id)
        run(_RENUMBER, tenant=company.tenant_id)
    run(_ACT, tenant="")
