"""Uses a Datadog site with the vendor's official client, as a program outside would.

Usage: datadog_official.py BASE_URL SERVICE_ACCOUNT_ID
The credentials come from DD_API_KEY and DD_APP_KEY.

It creates, lists, reads, changes and deletes API keys, application keys and
personal access tokens, and the keys and tokens of a service account, and checks
what comes back, values included. It prints
`ok` and exits 0; otherwise it says what is wrong and exits 1. It leaves nothing
behind but expects a site on which nobody else is working.
"""

import os
import re
import sys
import uuid
from datetime import datetime, timedelta, timezone

from datadog_api_client import ApiClient, Configuration
from datadog_api_client.exceptions import (
    ApiException,
    ForbiddenException,
    NotFoundException,
    UnauthorizedException,
)
from datadog_api_client.v2.api.key_management_api import KeyManagementApi
from datadog_api_client.v2.api.service_accounts_api import ServiceAccountsApi
from datadog_api_client.v2.model.api_key_create_attributes import APIKeyCreateAttributes
from datadog_api_client.v2.model.api_key_create_data import APIKeyCreateData
from datadog_api_client.v2.model.api_key_create_request import APIKeyCreateRequest
from datadog_api_client.v2.model.api_key_update_attributes import APIKeyUpdateAttributes
from datadog_api_client.v2.model.api_key_update_data import APIKeyUpdateData
from datadog_api_client.v2.model.api_key_update_request import APIKeyUpdateRequest
from datadog_api_client.v2.model.api_keys_sort import APIKeysSort
from datadog_api_client.v2.model.api_keys_type import APIKeysType
from datadog_api_client.v2.model.application_key_create_attributes import ApplicationKeyCreateAttributes
from datadog_api_client.v2.model.application_key_create_data import ApplicationKeyCreateData
from datadog_api_client.v2.model.application_key_create_request import ApplicationKeyCreateRequest
from datadog_api_client.v2.model.application_key_update_attributes import ApplicationKeyUpdateAttributes
from datadog_api_client.v2.model.application_key_update_data import ApplicationKeyUpdateData
from datadog_api_client.v2.model.application_key_update_request import ApplicationKeyUpdateRequest
from datadog_api_client.v2.model.application_keys_sort import ApplicationKeysSort
from datadog_api_client.v2.model.application_keys_type import ApplicationKeysType
from datadog_api_client.v2.model.personal_access_token_create_attributes import PersonalAccessTokenCreateAttributes
from datadog_api_client.v2.model.personal_access_token_create_data import PersonalAccessTokenCreateData
from datadog_api_client.v2.model.personal_access_token_create_request import PersonalAccessTokenCreateRequest
from datadog_api_client.v2.model.personal_access_token_update_attributes import PersonalAccessTokenUpdateAttributes
from datadog_api_client.v2.model.personal_access_token_update_data import PersonalAccessTokenUpdateData
from datadog_api_client.v2.model.personal_access_token_update_request import PersonalAccessTokenUpdateRequest
from datadog_api_client.v2.model.personal_access_tokens_include_query_parameter_item import (
    PersonalAccessTokensIncludeQueryParameterItem,
)
from datadog_api_client.v2.model.personal_access_tokens_sort import PersonalAccessTokensSort
from datadog_api_client.v2.model.personal_access_tokens_type import PersonalAccessTokensType
from datadog_api_client.v2.model.service_access_tokens_type import ServiceAccessTokensType
from datadog_api_client.v2.model.service_account_access_token_create_attributes import (
    ServiceAccountAccessTokenCreateAttributes,
)
from datadog_api_client.v2.model.service_account_access_token_create_data import ServiceAccountAccessTokenCreateData
from datadog_api_client.v2.model.service_account_access_token_create_request import (
    ServiceAccountAccessTokenCreateRequest,
)
from datadog_api_client.v2.model.service_account_access_token_update_attributes import (
    ServiceAccountAccessTokenUpdateAttributes,
)
from datadog_api_client.v2.model.service_account_access_token_update_data import ServiceAccountAccessTokenUpdateData
from datadog_api_client.v2.model.service_account_access_token_update_request import (
    ServiceAccountAccessTokenUpdateRequest,
)

API_KEYS = APIKeysType("api_keys")
APPLICATION_KEYS = ApplicationKeysType("application_keys")
TOKENS = PersonalAccessTokensType("personal_access_tokens")
SERVICE_TOKENS = ServiceAccessTokensType("service_access_tokens")


class Wrong(Exception):
    """Something is not as it should be."""


def same(what, actual, expected):
    if actual != expected:
        raise Wrong(f"{what}: {actual!r} instead of {expected!r}")


def true(what, condition):
    if not condition:
        raise Wrong(what)


def matches(what, actual, pattern):
    true(f"{what} does not look like {pattern}", re.fullmatch(pattern, str(actual)))


def refused(what, kind, errors, call):
    """Calls, and expects exactly this exception with exactly these messages."""
    try:
        call()
    except ApiException as fault:
        same(f"{what}: exception", type(fault), kind)
        if errors is not None:
            same(f"{what}: body", fault.body, {"errors": errors})
        return fault
    raise Wrong(f"{what}: not refused")


def recent(what, time):
    age = datetime.now(timezone.utc) - time
    true(f"{what}: {time} is not now", -timedelta(seconds=5) < age < timedelta(minutes=5))


def names(answer):
    return [item.attributes.name for item in answer.data]


def pages(what, expected, call):
    """Walks pages of two and expects them to hold all the names, in order."""
    seen = []
    for number in range(len(expected)):
        answer = call(page_size=2, page_number=number)
        same(f"{what}: total", answer.meta.page.total_filtered_count, len(expected))
        if not answer.data:
            break
        true(f"{what}: page {number} is too long", len(answer.data) <= 2)
        seen += names(answer)
    same(f"{what}: all pages", seen, expected)


def api_key_body(name, **attributes):
    data = APIKeyCreateData(type=API_KEYS, attributes=APIKeyCreateAttributes(name=name, **attributes))
    return APIKeyCreateRequest(data=data)


def api_keys(api, user):
    prefix = f"official-{uuid.uuid4().hex[:8]}"
    created = []
    for letter in "CABDE":
        kind = {"category": "special", "remote_config_read_enabled": False} if letter == "D" else {}
        answer = api.create_api_key(body=api_key_body(f"{prefix}-{letter}", **kind))
        data = answer.data
        same("created API key: type", str(data.type), "api_keys")
        same("created API key: name", data.attributes.name, f"{prefix}-{letter}")
        matches("created API key: value", data.attributes.key, "[0-9a-f]{32}")
        matches("created API key: id", data.id, "[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}")
        same("created API key: last4", data.attributes.last4, data.attributes.key[-4:])
        same("created API key: modified", data.attributes.modified_at, data.attributes.created_at)
        same("created API key: by", data.relationships.created_by.data.id, user)
        same("created API key: leak", data.relationships.leak_information, {"data": None})
        recent("created API key", data.attributes.created_at)
        created.append(data)
    expected = [f"{prefix}-{letter}" for letter in "ABCDE"]

    pages("API keys by name", expected, lambda **page: api.list_api_keys(filter=prefix, **page))
    for sort, order in [
        (APIKeysSort.NAME_DESCENDING, "EDCBA"),
        (APIKeysSort.CREATED_AT_ASCENDING, "CABDE"),
        (APIKeysSort.MODIFIED_AT_DESCENDING, "EDBAC"),
    ]:
        answer = api.list_api_keys(filter=prefix, sort=sort)
        same(f"API keys sorted by {sort}", names(answer), [f"{prefix}-{letter}" for letter in order])
    answer = api.list_api_keys(filter=prefix, sort=APIKeysSort.LAST4_ASCENDING)
    ends = [item.attributes.last4 for item in answer.data]
    same("API keys sorted by last4", ends, sorted(key.attributes.last4 for key in created))
    third = created[2].attributes.created_at.isoformat()
    same("API keys since", len(api.list_api_keys(filter=prefix, filter_created_at_start=third).data), 3)
    same("API keys until", len(api.list_api_keys(filter=prefix, filter_created_at_end=third).data), 3)
    same("API keys modified since", len(api.list_api_keys(filter=prefix, filter_modified_at_start=third).data), 3)
    same("API keys modified until", len(api.list_api_keys(filter=prefix, filter_modified_at_end=third).data), 3)
    same("API keys of a category", names(api.list_api_keys(filter=prefix, filter_category="special")), [expected[3]])
    answer = api.list_api_keys(filter=prefix, filter_remote_config_read_enabled=True)
    same("API keys with remote configuration", len(answer.data), 4)
    answer = api.list_api_keys(filter=expected[0], include="created_by,modified_by")
    same("API keys: most allowed", answer.meta.max_allowed, 50)
    same("API keys: one user included once", [item.id for item in answer.included], [user])
    listed = answer.data[0].attributes
    true("listed API key shows its value", "key" not in listed.to_dict())
    same("listed API key: last use", listed.date_last_used, None)
    same("listed API key: recent use", listed.used_in_last_24_hours, False)
    same("listed API key: category", listed.category, "default")

    first = created[0]
    answer = api.get_api_key(first.id, include="created_by")
    same("API key: value", answer.data.attributes.key, first.attributes.key)
    same("API key: included", [item.id for item in answer.included], [user])
    update = APIKeyUpdateRequest(
        data=APIKeyUpdateData(
            id=first.id,
            type=API_KEYS,
            attributes=APIKeyUpdateAttributes(name=f"{prefix}-renamed", category="special"),
        )
    )
    answer = api.update_api_key(first.id, body=update)
    same("updated API key: name", answer.data.attributes.name, f"{prefix}-renamed")
    same("updated API key: value", answer.data.attributes.key, first.attributes.key)
    true("updated API key: time", answer.data.attributes.modified_at > first.attributes.modified_at)
    answer = api.get_api_key(first.id)
    same("API key after the update: name", answer.data.attributes.name, f"{prefix}-renamed")
    same("API key after the update: category", answer.data.attributes.category, "special")

    for key in created:
        same("deleted API key", api.delete_api_key(key.id), None)
    same("API keys left", names(api.list_api_keys(filter=prefix)), [])
    missing = ["API key not found"]
    refused("deleted API key", NotFoundException, missing, lambda: api.delete_api_key(first.id))
    refused("deleted API key", NotFoundException, missing, lambda: api.get_api_key(first.id))
    refused("unknown API key", NotFoundException, missing, lambda: api.get_api_key("invalidId"))
    refused("deleted API key", NotFoundException, missing, lambda: api.update_api_key(first.id, body=update))


def application_key_update(key_id, **attributes):
    attributes = ApplicationKeyUpdateAttributes(**attributes)
    data = ApplicationKeyUpdateData(id=key_id, type=APPLICATION_KEYS, attributes=attributes)
    return ApplicationKeyUpdateRequest(data=data)


def application_key_body(name, **attributes):
    attributes = ApplicationKeyCreateAttributes(name=name, **attributes)
    data = ApplicationKeyCreateData(type=APPLICATION_KEYS, attributes=attributes)
    return ApplicationKeyCreateRequest(data=data)


def application_keys(api, user):
    prefix = f"official-{uuid.uuid4().hex[:8]}"
    scopes = ["dashboards_read", "dashboards_write"]
    created = []
    for letter in "CAB":
        scoped = {"scopes": scopes} if letter == "A" else {}
        body = application_key_body(f"{prefix}-{letter}", **scoped)
        answer = api.create_current_user_application_key(body=body)
        data = answer.data
        same("created application key: name", data.attributes.name, f"{prefix}-{letter}")
        matches("created application key: value", data.attributes.key, "[0-9a-f]{40}")
        same("created application key: last4", data.attributes.last4, data.attributes.key[-4:])
        same("created application key: scopes", data.attributes.scopes, scopes if letter == "A" else None)
        same("created application key: owner", data.relationships.owned_by.data.id, user)
        recent("created application key", datetime.fromisoformat(str(data.attributes.created_at)))
        created.append(data)
    expected = [f"{prefix}-{letter}" for letter in "ABC"]
    first, scoped = created[0], created[1]

    for what, list_keys in [
        ("own application keys", api.list_current_user_application_keys),
        ("application keys", api.list_application_keys),
    ]:
        pages(what, expected, lambda **page: list_keys(filter=prefix, **page))
        answer = list_keys(filter=prefix, sort=ApplicationKeysSort.CREATED_AT_DESCENDING)
        same(f"{what}, newest first", names(answer), [f"{prefix}-{letter}" for letter in "BAC"])
        same(f"{what}: most allowed", answer.meta.max_allowed_per_user, 1000)
        true(f"{what}: a value is shown", all("key" not in item.attributes.to_dict() for item in answer.data))
        same(f"{what}: nothing included", "included" in answer.to_dict(), False)
        answer = list_keys(filter=expected[1], include="owned_by")
        included = [(str(item.type), item.id) for item in answer.included]
        same(f"{what}: the owner included", included[0], ("users", user))
        same(f"{what}: the role included", [kind for kind, _ in included], ["users", "roles"])
    answer = api.list_application_keys(filter=prefix, filter_owned_by=user)
    same("application keys of the user", len(answer.data), 3)
    answer = api.list_application_keys(filter=prefix, filter_owned_by=str(uuid.uuid4()))
    same("application keys of nobody", len(answer.data), 0)
    answer = api.list_application_keys(filter=prefix, filter_created_at_end="2020-11-24T18:46:21+00:00")
    same("application keys of long ago", len(answer.data), 0)

    answer = api.get_current_user_application_key(first.id)
    same("own application key: value", answer.data.attributes.key, first.attributes.key)
    same("own application key: scopes", answer.data.attributes.scopes, None)
    same("own application key: last use", answer.data.attributes.last_used_at, None)
    same("own application key: included unasked", [str(item.type) for item in answer.included], ["users", "roles"])
    same("own application key: role", answer.included[1].attributes.name, "Datadog Admin Role")
    answer = api.get_application_key(scoped.id, include="owned_by")
    true("application key shows its value", "key" not in answer.data.attributes.to_dict())
    same("application key: scopes", answer.data.attributes.scopes, scopes)
    same("application key: owner", answer.data.relationships.owned_by.data.id, user)

    body = application_key_update(first.id, name=f"{prefix}-renamed", scopes=[])
    answer = api.update_current_user_application_key(first.id, body=body)
    same("updated own application key: name", answer.data.attributes.name, f"{prefix}-renamed")
    same("updated own application key: scopes", answer.data.attributes.scopes, [])
    same("updated own application key: value", answer.data.attributes.key, first.attributes.key)
    answer = api.update_application_key(scoped.id, body=application_key_update(scoped.id, scopes=None))
    same("updated application key: name", answer.data.attributes.name, expected[0])
    same("updated application key: scopes", answer.data.attributes.scopes, None)
    true("updated application key shows its value", "key" not in answer.data.attributes.to_dict())

    api.delete_application_key(scoped.id)
    for key in (created[0], created[2]):
        api.delete_current_user_application_key(key.id)
    same("application keys left", names(api.list_application_keys(filter=prefix)), [])
    missing = ["Application key not found"]
    for call in (
        api.get_application_key,
        api.get_current_user_application_key,
        api.delete_application_key,
        api.delete_current_user_application_key,
    ):
        refused(call.__name__, NotFoundException, missing, lambda: call(first.id))


def tokens(api, user):
    prefix = f"official-{uuid.uuid4().hex[:8]}"
    expires = datetime.now(timezone.utc).replace(microsecond=208000) + timedelta(days=365)

    def body(name, expires_at):
        attributes = PersonalAccessTokenCreateAttributes(name=name, scopes=["dashboards_read"], expires_at=expires_at)
        data = PersonalAccessTokenCreateData(type=TOKENS, attributes=attributes)
        return PersonalAccessTokenCreateRequest(data=data)

    created = []
    for number, letter in enumerate("CAB"):
        expires_at = expires - timedelta(days=number)
        data = api.create_personal_access_token(body=body(f"{prefix}-{letter}", expires_at)).data
        same("created token: type", str(data.type), "personal_access_tokens")
        same("created token: name", data.attributes.name, f"{prefix}-{letter}")
        same("created token: scopes", data.attributes.scopes, ["dashboards_read"])
        same("created token: expiry", data.attributes.expires_at, expires_at)
        same("created token: owner", data.relationships.owned_by.data.id, user)
        matches("created token: public portion", data.attributes.public_portion, "[0-9A-Za-z]{22}")
        pattern = f"ddpat_{data.attributes.public_portion}_[0-9A-Za-z]{{36}}"
        matches("created token: value", data.attributes.key, pattern)
        recent("created token", data.attributes.created_at)
        created.append(data)
    expected = [f"{prefix}-{letter}" for letter in "ABC"]
    first = created[0]

    pages("tokens", expected, lambda **page: api.list_personal_access_tokens(filter=prefix, **page))
    for sort, order in [
        (PersonalAccessTokensSort.EXPIRES_AT_ASCENDING, "BAC"),
        (PersonalAccessTokensSort.CREATED_AT_DESCENDING, "BAC"),
        (PersonalAccessTokensSort.NAME_DESCENDING, "CBA"),
        (PersonalAccessTokensSort.LAST_USED_AT_ASCENDING, "CAB"),
    ]:
        answer = api.list_personal_access_tokens(filter=prefix, sort=sort)
        same(f"tokens sorted by {sort}", names(answer), [f"{prefix}-{letter}" for letter in order])
    answer = api.list_personal_access_tokens(
        filter=prefix,
        filter_owned_by=[str(uuid.uuid4()), user],
        include=[PersonalAccessTokensIncludeQueryParameterItem.LEAK_INFORMATION],
    )
    same("tokens of the user", len(answer.data), 3)
    true("a listed token shows its value", all("key" not in item.attributes.to_dict() for item in answer.data))
    same("a listed token: leak", answer.data[0].relationships.leak_information.data, None)
    same("leaked tokens", len(api.list_personal_access_tokens(filter=prefix, filter_leaked=True).data), 0)

    data = api.get_personal_access_token(first.id).data
    same("token: name", data.attributes.name, expected[2])
    same("token: last use", data.attributes.last_used_at, None)
    same("token: last change", data.attributes.modified_at, None)
    attributes = PersonalAccessTokenUpdateAttributes(name=f"{prefix}-renamed", scopes=["monitors_read"])
    update = PersonalAccessTokenUpdateRequest(
        data=PersonalAccessTokenUpdateData(id=first.id, type=TOKENS, attributes=attributes)
    )
    data = api.update_personal_access_token(first.id, body=update).data
    same("updated token: name", data.attributes.name, f"{prefix}-renamed")
    same("updated token: scopes", data.attributes.scopes, ["monitors_read"])
    recent("updated token", data.attributes.modified_at)

    for token in created:
        api.revoke_personal_access_token(token.id)
    same("revoked twice", api.revoke_personal_access_token(first.id), None)
    same("tokens left", names(api.list_personal_access_tokens(filter=prefix)), [])
    refused("revoked token", NotFoundException, None, lambda: api.get_personal_access_token(first.id))
    refused("unknown token", NotFoundException, None, lambda: api.revoke_personal_access_token("invalidId"))
    soon = datetime.now(timezone.utc) + timedelta(hours=23)
    fault = refused(
        "short-lived token",
        ApiException,
        None,
        lambda: api.create_personal_access_token(body=body(prefix, soon)),
    )
    same("short-lived token: status", fault.status, 400)


def service_account_application_keys(api, organization, account):
    prefix = f"official-{uuid.uuid4().hex[:8]}"
    scopes = ["dashboards_read", "dashboards_write"]
    created = []
    for letter in "CAB":
        scoped = {"scopes": scopes} if letter == "A" else {}
        body = application_key_body(f"{prefix}-{letter}", **scoped)
        data = api.create_service_account_application_key(account, body=body).data
        same("created key of an account: name", data.attributes.name, f"{prefix}-{letter}")
        matches("created key of an account: value", data.attributes.key, "[0-9a-f]{40}")
        same("created key of an account: scopes", data.attributes.scopes, scopes if letter == "A" else None)
        same("created key of an account: owner", data.relationships.owned_by.data.id, account)
        created.append(data)
    expected = [f"{prefix}-{letter}" for letter in "ABC"]
    first, scoped = created[0], created[1]

    list_keys = api.list_service_account_application_keys
    pages("keys of an account", expected, lambda **page: list_keys(account, filter=prefix, **page))
    answer = list_keys(account, filter=prefix, sort=ApplicationKeysSort.CREATED_AT_DESCENDING)
    same("keys of an account, newest first", names(answer), [f"{prefix}-{letter}" for letter in "BAC"])
    same("keys of an account: most allowed", answer.meta.max_allowed_per_user, 1000)
    true("a listed key shows its value", all("key" not in item.attributes.to_dict() for item in answer.data))
    answer = list_keys(account, filter=prefix, filter_created_at_end="2020-11-24T18:46:21+00:00")
    same("keys of an account of long ago", len(answer.data), 0)
    answer = list_keys(account, filter=prefix, filter_created_at_start="2020-11-24T18:46:21+00:00")
    same("keys of an account since long ago", len(answer.data), 3)
    answer = organization.list_application_keys(filter=prefix, filter_owned_by=account, include="owned_by")
    same("keys of an account among all", names(answer), expected)
    same("the account is one", answer.included[0].attributes.service_account, True)
    answer = organization.list_current_user_application_keys(filter=prefix)
    same("keys of an account among one's own", names(answer), [])

    data = api.get_service_account_application_key(account, scoped.id).data
    true("key of an account shows its value", "key" not in data.attributes.to_dict())
    same("key of an account: scopes", data.attributes.scopes, scopes)
    body = application_key_update(first.id, name=f"{prefix}-renamed", scopes=[])
    data = api.update_service_account_application_key(account, first.id, body=body).data
    true("updated key of an account shows its value", "key" not in data.attributes.to_dict())
    same("updated key of an account: name", data.attributes.name, f"{prefix}-renamed")
    same("updated key of an account: scopes", data.attributes.scopes, [])

    for key in created:
        same("deleted key of an account", api.delete_service_account_application_key(account, key.id), None)
    same("keys of an account left", names(list_keys(account, filter=prefix)), [])
    missing = ["Application key not found"]
    for call in (api.get_service_account_application_key, api.delete_service_account_application_key):
        refused(call.__name__, NotFoundException, missing, lambda: call(account, first.id))
    nobody = str(uuid.uuid4())
    missing = ["Service account not found"]
    refused("keys of no account", NotFoundException, missing, lambda: list_keys(nobody))


def service_account_tokens(api, organization, account, user):
    prefix = f"official-{uuid.uuid4().hex[:8]}"
    expires = datetime.now(timezone.utc).replace(microsecond=208000) + timedelta(days=365)

    def body(name, **expiry):
        attributes = ServiceAccountAccessTokenCreateAttributes(name=name, scopes=["dashboards_read"], **expiry)
        data = ServiceAccountAccessTokenCreateData(type=SERVICE_TOKENS, attributes=attributes)
        return ServiceAccountAccessTokenCreateRequest(data=data)

    created = []
    for letter in "CAB":
        expiry = {"expires_at": expires} if letter == "A" else {}
        request = body(f"{prefix}-{letter}", **expiry)
        data = api.create_service_account_access_token(account, body=request).data
        same("created token of an account: type", str(data.type), "service_access_tokens")
        same("created token of an account: name", data.attributes.name, f"{prefix}-{letter}")
        same("created token of an account: scopes", data.attributes.scopes, ["dashboards_read"])
        same("created token of an account: expiry", data.attributes.expires_at, expires if letter == "A" else None)
        owner = data.relationships.owned_by.data
        same("created token of an account: owner", (str(owner.type), owner.id), ("service_account", account))
        pattern = f"ddsat_{data.attributes.public_portion}_[0-9A-Za-z]{{36}}"
        matches("created token of an account: value", data.attributes.key, pattern)
        created.append(data)
    expected = [f"{prefix}-{letter}" for letter in "ABC"]
    first = created[0]

    list_tokens = api.list_service_account_access_tokens
    pages("tokens of an account", expected, lambda **page: list_tokens(account, filter=prefix, **page))
    answer = list_tokens(account, filter=prefix, sort=PersonalAccessTokensSort.EXPIRES_AT_ASCENDING)
    same("tokens of an account, soonest end first", names(answer), [f"{prefix}-{letter}" for letter in "ACB"])
    same("tokens of an account without an end", [item.attributes.expires_at for item in answer.data][1:], [None, None])
    answer = list_tokens(
        account,
        filter=prefix,
        filter_leaked=False,
        include=[PersonalAccessTokensIncludeQueryParameterItem.LEAK_INFORMATION],
    )
    same("tokens of an account", names(answer), expected)
    true("a listed token shows its value", all("key" not in item.attributes.to_dict() for item in answer.data))
    same("leaked tokens of an account", len(list_tokens(account, filter=prefix, filter_leaked=True).data), 0)

    attributes = PersonalAccessTokenCreateAttributes(
        name=f"{prefix}-personal", scopes=["dashboards_read"], expires_at=expires
    )
    data = PersonalAccessTokenCreateData(type=TOKENS, attributes=attributes)
    personal = organization.create_personal_access_token(body=PersonalAccessTokenCreateRequest(data=data)).data
    answer = organization.list_personal_access_tokens(filter=prefix)
    told = [
        (str(item.type), str(item.relationships.owned_by.data.type), item.relationships.owned_by.data.id)
        for item in answer.data
    ]
    of_account = ("service_access_tokens", "service_account", account)
    same("tokens of both kinds", told, [of_account] * 3 + [("personal_access_tokens", "users", user)])
    answer = organization.list_personal_access_tokens(filter=prefix, filter_owned_by=[account])
    same("tokens of the account among all", names(answer), expected)
    organization.revoke_personal_access_token(personal.id)

    include = [PersonalAccessTokensIncludeQueryParameterItem.LEAK_INFORMATION]
    data = api.get_service_account_access_token(account, first.id, include=include).data
    same("token of an account: name", data.attributes.name, expected[2])
    same("token of an account: expiry", data.attributes.expires_at, None)
    attributes = ServiceAccountAccessTokenUpdateAttributes(name=f"{prefix}-renamed", scopes=["monitors_read"])
    update = ServiceAccountAccessTokenUpdateRequest(
        data=ServiceAccountAccessTokenUpdateData(id=first.id, type=SERVICE_TOKENS, attributes=attributes)
    )
    data = api.update_service_account_access_token(account, first.id, body=update).data
    same("updated token of an account: name", data.attributes.name, f"{prefix}-renamed")
    same("updated token of an account: scopes", data.attributes.scopes, ["monitors_read"])
    recent("updated token of an account", data.attributes.modified_at)

    revoke = api.revoke_service_account_access_token
    for token in created:
        revoke(account, token.id)
    same("revoked twice", revoke(account, first.id), None)
    same("tokens of an account left", names(list_tokens(account, filter=prefix)), [])
    missing = ["Service access token not found"]
    get = api.get_service_account_access_token
    refused("revoked token of an account", NotFoundException, missing, lambda: get(account, first.id))
    refused("unknown token of an account", NotFoundException, missing, lambda: revoke(account, "invalidId"))
    nobody = str(uuid.uuid4())
    missing = ["Service account not found"]
    refused("tokens of no account", NotFoundException, missing, lambda: list_tokens(nobody))


def credentials(base_url, api_key, app_key):
    def call(**keys):
        configuration = Configuration(host=base_url, api_key=keys)
        with ApiClient(configuration) as client:
            return KeyManagementApi(client).list_api_keys()

    wrong, missing = ["Forbidden"], ["Unauthorized"]
    for what, kind, errors, keys in [
        ("wrong API key", ForbiddenException, wrong, {"apiKeyAuth": "0" * 32, "appKeyAuth": app_key}),
        ("wrong application key", ForbiddenException, wrong, {"apiKeyAuth": api_key, "appKeyAuth": "0" * 40}),
        ("no application key", UnauthorizedException, missing, {"apiKeyAuth": api_key}),
        ("no API key", UnauthorizedException, missing, {"appKeyAuth": app_key}),
    ]:
        refused(what, kind, errors, lambda: call(**keys))


def main():
    base_url, account = sys.argv[1:]
    # Taken away, or the client would fall back on them where none is wanted.
    api_key, app_key = os.environ.pop("DD_API_KEY"), os.environ.pop("DD_APP_KEY")
    configuration = Configuration(host=base_url, api_key={"apiKeyAuth": api_key, "appKeyAuth": app_key})
    configuration.unstable_operations["validate"] = True
    with ApiClient(configuration) as client:
        api = KeyManagementApi(client)
        same("both keys valid", str(api.validate_api_key().status), "ok")
        valid = api.validate()
        same("API key valid", valid.data.attributes.valid, True)
        master = api.get_api_key(valid.data.attributes.api_key_id).data
        same("the master API key", master.attributes.key, api_key)
        user = master.relationships.created_by.data.id
        api_keys(api, user)
        application_keys(api, user)
        tokens(api, user)
        accounts = ServiceAccountsApi(client)
        service_account_application_keys(accounts, api, account)
        service_account_tokens(accounts, api, account, user)
    credentials(base_url, api_key, app_key)


if __name__ == "__main__":
    try:
        main()
    except Wrong as fault:
        sys.exit(f"wrong: {fault}")
    print("ok")
