#!/usr/bin/env python3
"""Derive the fields of LiteLLM's admin API from its own models.

    PYTHON tools/admin_fields.py > policy/admin/litellm.json
    PYTHON tools/admin_fields.py --check policy/admin/litellm.json

PYTHON is one that has the pinned litellm[proxy] (tools/oracle/README.md says how to make it). sluice reads
requests by this file and writes answers with its columns, so a field that LiteLLM gains shows in the
difference, and the tests of policy/admin tell what has to be done about it.
"""

import json
import re
import sys
from importlib.metadata import version
from pathlib import Path

import litellm.proxy
from litellm.proxy import _types as t
from litellm.types.proxy.management_endpoints import internal_user_endpoints as users
from litellm.types.router import updateDeployment, Deployment

REQUESTS = {
    "/key/generate": t.GenerateKeyRequest,
    "/key/update": t.UpdateKeyRequest,
    "/key/delete": t.KeyRequest,
    "/key/regenerate": t.RegenerateKeyRequest,
    "/key/block": t.BlockKeyRequest,
    "/key/reset_spend": t.ResetSpendRequest,
    "/team/new": t.NewTeamRequest,
    "/team/update": t.UpdateTeamRequest,
    "/team/delete": t.DeleteTeamRequest,
    "/team/block": t.BlockTeamRequest,
    "/team/member_add": t.TeamMemberAddRequest,
    "/team/member_update": t.TeamMemberUpdateRequest,
    "/team/member_delete": t.TeamMemberDeleteRequest,
    "/user/new": t.NewUserRequest,
    "/user/update": t.UpdateUserRequest,
    "/user/delete": t.DeleteUserRequest,
    "/customer/new": t.NewCustomerRequest,
    "/customer/update": t.UpdateCustomerRequest,
    "/customer/delete": t.DeleteCustomerRequest,
    "/customer/block": t.BlockUsers,
    "/budget/new": t.BudgetNewRequest,
    "/budget/info": t.BudgetRequest,
    "/budget/delete": t.BudgetDeleteRequest,
    "/model/new": Deployment,
    "/model/update": updateDeployment,
    "/model/delete": t.ModelInfoDelete,
    "member": t.Member,
}

ANSWERS = {
    "/key/generate": t.GenerateKeyResponse,
    "team": t.LiteLLM_TeamTable,
    "user": t.LiteLLM_UserTable,
    "/team/member_add": t.TeamAddMemberResponse,
    "/team/member_update": t.TeamMemberUpdateResponse,
    "/team/info.team_info": t.TeamInfoResponseObjectTeamTable,
    "/team/info.team_memberships": t.TeamInfoMembership,
    "/team/list": t.TeamListResponseObject,
    "/user/new": t.NewUserResponse,
    "/user/info": t.UserInfoResponse,
    "/v2/user/info": t.UserInfoV2Response,
    "/user/list": users.UserListResponse,
    "/user/list.users": t.LiteLLM_UserTableWithKeyCount,
}

TABLES = {
    "key": "LiteLLM_VerificationToken",
    "team": "LiteLLM_TeamTable",
    "user": "LiteLLM_UserTable",
    "member": "LiteLLM_TeamMembership",
    "customer": "LiteLLM_EndUserTable",
    "budget": "LiteLLM_BudgetTable",
    "model": "LiteLLM_ProxyModelTable",
}


def kinds(schema, defs):
    """The JSON types that a property may have."""
    if "$ref" in schema:
        return kinds(defs[schema["$ref"].rsplit("/", 1)[1]], defs)
    for several in ("anyOf", "oneOf", "allOf"):
        if several in schema:
            return sorted({k for s in schema[several] for k in kinds(s, defs)})
    one = schema.get("type")
    if one is None:
        return ["any"]
    return [one] if isinstance(one, str) else sorted(one)


def choices(schema, defs):
    if "$ref" in schema:
        return choices(defs[schema["$ref"].rsplit("/", 1)[1]], defs)
    if "enum" in schema:
        return schema["enum"]
    out = []
    for several in ("anyOf", "oneOf", "allOf"):
        for s in schema.get(several, []):
            if s.get("type") != "null":
                out += choices(s, defs)
    return out


def request(model):
    schema = model.model_json_schema()
    defs = schema.get("$defs", {})
    out = {}
    for name, prop in schema["properties"].items():
        field = {"types": kinds(prop, defs)}
        if name in schema.get("required", []):
            field["required"] = True
        if choices(prop, defs):
            field["enum"] = choices(prop, defs)
        out[name] = field
    if model is Deployment:
        out["model_info"].pop("required", None)  # its __init__ fills it in
    return out


def columns(prisma, table):
    body = re.search(r"^model %s \{\n(.*?)^\}" % table, prisma, re.S | re.M).group(1)
    out = {}
    for line in body.splitlines():
        m = re.match(r"\s*(\w+)\s+(\w+)(\[\])?(\?)?", line)
        if not m or m.group(1).startswith("@@"):
            continue
        name, typ, many, optional = m.groups()
        if typ not in ("String", "Int", "BigInt", "Float", "Boolean", "DateTime", "Json"):
            continue  # a relation
        default = re.search(r"@default\(((?:[^()]|\([^()]*\))*)\)", line)
        out[name] = {"type": typ + ("[]" if many else ""), "null": bool(optional), "default": default.group(1) if default else None}
    return out


def main():
    prisma = (Path(litellm.proxy.__file__).parent / "schema.prisma").read_text()
    fields = {
        "version": version("litellm"),
        "requests": {path: request(model) for path, model in REQUESTS.items()},
        "answers": {path: list(model.model_fields) for path, model in ANSWERS.items()},
        "columns": {kind: columns(prisma, table) for kind, table in TABLES.items()},
        "metadata": list(t.LiteLLM_ManagementEndpoint_MetadataFields),
        "metadata_premium": list(t.LiteLLM_ManagementEndpoint_MetadataFields_Premium),
        "roles": [r.value for r in t.LitellmUserRoles],
    }
    text = json.dumps(fields, indent=1, sort_keys=True) + "\n"
    if len(sys.argv) == 3 and sys.argv[1] == "--check":
        if Path(sys.argv[2]).read_text() != text:
            sys.exit("%s is not what LiteLLM %s has: write it anew and look at the difference" % (sys.argv[2], fields["version"]))
        return
    sys.stdout.write(text)


if __name__ == "__main__":
    main()
