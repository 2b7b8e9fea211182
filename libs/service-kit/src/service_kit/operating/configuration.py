"""`config`: the settings as the environment has them, without a secret, and all that is wrong."""

import os
import re
from argparse import Namespace
from typing import Any

from pydantic import SecretStr

from service_kit.environment import judge
from service_kit.operating.command import Command, Operated, Report

_LOGIN = re.compile(r"(?<=//)[^/@\s]+(?=@)")
_SHOWN = 100


def commands() -> tuple[Command, ...]:
    """Those of every service."""
    return (
        Command(
            ("config", "check"), "print the settings, redacted, and every fault of theirs", _check
        ),
    )


def _check(operated: Operated, asked: Namespace) -> Report:
    del asked
    settings, problems = judge(operated.settings_type)
    lines = []
    if settings is not None:
        lines = [
            f"{name.upper()}={_shown(getattr(settings, name))}{_source(name)}"
            for name in sorted(operated.settings_type.model_fields)
        ]
    lines += [f"PROBLEM: {problem}" for problem in problems]
    return Report((*lines, f"{len(problems)} problems" if problems else "no problem"), not problems)


def _shown(value: Any) -> str:
    """The value as anybody may read it."""
    if isinstance(value, SecretStr):
        length = len(value.get_secret_value())
        return f"<secret of {length} characters>" if length else ""
    if value is None:
        return ""
    text = _LOGIN.sub("<login>", " ".join(str(value).split()))
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def _source(name: str) -> str:
    names = {key.upper() for key in os.environ}
    if f"{name.upper()}_FILE" in names:
        return "  # file"
    return "" if name.upper() in names else "  # default"
