"""Who asks, what they may use, what it cost.

In: keys, passwords, requests' estimates and counts.  Out: callers, admissions, charges.
Knows neither the server nor the services; synchronous, for worker threads.
"""

from puna.accounts.audit import Audit
from puna.accounts.caller import SCOPES, USUAL_SCOPES, Caller
from puna.accounts.entries import Charge, Outcome
from puna.accounts.idempotency import Claim, Idempotency, Recorded
from puna.accounts.keys import Key, Keys, NewKey
from puna.accounts.ledger import Admission, Ledger, Standing
from puna.accounts.links import Links
from puna.accounts.local_key import LocalKey
from puna.accounts.payments import Due, PaymentProvider, Payments
from puna.accounts.plans import FREE, OWNER, Plan, Plans, Price
from puna.accounts.schema import Base, Moment, new_id, utc_now
from puna.accounts.sessions import Sessions, SignedIn
from puna.accounts.store import Store
from puna.accounts.tenants import OWNER_TENANT, Tenant, Tenants
from puna.accounts.users import User, Users

__all__ = [
    "FREE",
    "OWNER",
    "OWNER_TENANT",
    "SCOPES",
    "USUAL_SCOPES",
    "Admission",
    "Audit",
    "Base",
    "Caller",
    "Charge",
    "Claim",
    "Due",
    "Idempotency",
    "Key",
    "Keys",
    "Ledger",
    "Links",
    "LocalKey",
    "Moment",
    "NewKey",
    "Outcome",
    "PaymentProvider",
    "Payments",
    "Plan",
    "Plans",
    "Price",
    "Recorded",
    "Sessions",
    "SignedIn",
    "Standing",
    "Store",
    "Tenant",
    "Tenants",
    "User",
    "Users",
    "new_id",
    "utc_now",
]
